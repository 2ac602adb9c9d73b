"""Pictures inside a page or an answer, so that no file is needed to show them."""

from base64 import b64encode
from io import BytesIO

from PIL import Image


def data_url(image: Image.Image, form: str = "PNG") -> str:
    """A `data:` address of an image.

    Args:
        image: any mode that the format knows.
        form: Pillow's name of the format: PNG, JPEG or WEBP.
    """
    encoded = BytesIO()
    image.save(encoded, form)
    return f"data:image/{form.lower()};base64,{b64encode(encoded.getvalue()).decode()}"
