"""What a DICOM file may show for the model to judge it: MRI of the head, as single slices."""

from typing import Final

from data.imaging import ScanError

#: Storage classes without a scan in them, by the beginning of their identifiers.
_NO_SCANS: Final = {
    "1.2.840.10008.5.1.4.1.1.88.": "a structured report",
    "1.2.840.10008.5.1.4.1.1.104.": "a document",
    "1.2.840.10008.5.1.4.1.1.11.": "a way to show other images",
    "1.2.840.10008.5.1.4.1.1.9.": "a curve, not an image",
    "1.2.840.10008.5.1.4.1.1.481.": "part of a radiation plan",
    "1.2.840.10008.5.1.4.1.1.66": "a segmentation or raw data",
    "1.2.840.10008.5.1.4.1.1.4.2": "a spectrum, not an image",
    "1.2.840.10008.5.1.4.1.1.30": "a table of values, not an image",
}
_DICOMDIR: Final = "1.2.840.10008.1.3.10"
#: What the modalities are that people have scans of, in words.
_MODALITIES: Final = {
    "CT": "a CT scan",
    "PT": "a PET scan",
    "NM": "a scintigram",
    "US": "an ultrasound image",
    "CR": "an X-ray",
    "DX": "an X-ray",
    "RF": "an X-ray",
    "RG": "an X-ray",
    "XA": "an angiogram",
    "MG": "a mammogram",
    "IO": "an X-ray of teeth",
    "PX": "an X-ray of teeth",
    "OP": "a photograph of an eye",
    "OPT": "a scan of an eye",
    "XC": "a photograph",
    "ES": "an endoscopy",
    "GM": "a microscopy",
    "SM": "a microscopy",
}
#: OT is what screen captures state, MRI or not; like a PNG they say nothing, and the model decides.
_MAY_BE_MRI: Final = ("MR", "OT", "")
#: DICOM's names of body parts that leave no doubt. Anything else may be a head: the element is often
#: wrong, a protocol's name, or empty.
_ELSEWHERE: Final = frozenset(
    (
        "ABDOMEN", "ABDOMENPELVIS", "ANKLE", "ARM", "BREAST", "CALF", "CHEST",
        "CHESTABDOMEN", "CHESTABDPELVIS", "CLAVICLE", "COCCYX", "CSPINE", "CTSPINE",
        "ELBOW", "EXTREMITY", "FEMUR", "FINGER", "FOOT", "FOREARM", "HAND", "HEART", "HIP",
        "HUMERUS", "KIDNEY", "KNEE", "LEG", "LIVER", "LSPINE", "LSSPINE", "PANCREAS",
        "PELVIS", "PROSTATE", "RIB", "SCAPULA", "SHOULDER", "SPINE", "SSPINE", "STERNUM",
        "THIGH", "TIBIA", "TLSPINE", "TOE", "TSPINE", "UTERUS", "WRIST",
    )
)  # fmt: skip
_TRAINED_ON: Final = "the model was trained on MRI of the head only"


def refuse_what_we_cannot_judge(
    *, sop_class: str, modality: str, body_part: str, image_type: tuple[str, ...]
) -> None:
    """Refuse by what a file says it is, in our words and never in its own.

    Args:
        sop_class: identifier of what is stored.
        modality: code, upper case, or empty.
        body_part: code, upper case, or empty.
        image_type: codes.

    Raises:
        ScanError: `dicomdir`, `no_image`, `wrong_modality`, `wrong_body_part`, `localiser` or `mosaic`.
    """
    if sop_class == _DICOMDIR:
        raise ScanError(
            "dicomdir",
            "This is the index of a disc. Send the image files that it lists, or a ZIP of all.",
        )
    for beginning, what in _NO_SCANS.items():
        if sop_class.startswith(beginning):
            raise ScanError("no_image", f"This is {what}. Send the images of the scan.")
    if modality not in _MAY_BE_MRI:
        what = _MODALITIES.get(modality, "no MRI")
        raise ScanError("wrong_modality", f"This is {what}; {_TRAINED_ON}. Send an MRI.")
    if body_part in _ELSEWHERE:
        raise ScanError(
            "wrong_body_part", f"This is no scan of the head; {_TRAINED_ON}. Send one of the head."
        )
    kinds = {kind.strip().upper() for kind in image_type}
    if "LOCALIZER" in kinds:
        raise ScanError(
            "localiser",
            "This is a localiser, made to plan a scan and too coarse to judge. Send the scan itself.",
        )
    if "MOSAIC" in kinds:
        raise ScanError(
            "mosaic",
            "The file holds many slices in one mosaic. Convert it, for example with dcm2niix, "
            "and send the NIfTI file.",
        )
