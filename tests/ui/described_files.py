"""Hooks of schemathesis: files that the description calls valid are scans, and there are few of them.

What becomes of other files, and of as many as there may be, is in test_api.py.
"""

import io

import schemathesis
from hypothesis import strategies as st
from PIL import Image
from schemathesis import Case, HookContext

MOST = 20

encoded = io.BytesIO()
Image.radial_gradient("L").resize((128, 128)).save(encoded, "PNG")
schemathesis.openapi.format("binary", st.just(encoded.getvalue()))


@schemathesis.hook
def filter_case(context: HookContext, case: Case) -> bool:
    files = case.body.get("file") if isinstance(case.body, dict) else None
    return not isinstance(files, list) or len(files) <= MOST
