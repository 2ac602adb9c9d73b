"""The two classes, named once for every room."""

from enum import StrEnum


class Label(StrEnum):
    """The answer of the classifier; `probability` is always P(`TUMOR`)."""

    TUMOR = "tumor"
    NO_TUMOR = "no_tumor"


#: Folder name of a class in every dataset layout, and its label.
LABEL_OF_FOLDER = {"yes": Label.TUMOR, "no": Label.NO_TUMOR}
FOLDER_OF_LABEL = {label: folder for folder, label in LABEL_OF_FOLDER.items()}
