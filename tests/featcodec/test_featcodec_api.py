"""What users may rely on: names, error tree, what an import costs."""

from __future__ import annotations

import re
import subprocess
import sys

import featcodec
from featcodec import errors

_NAMES = """
ArrayCoder ByteCoder ChecksumError Extension FeatcodecError FrameError FrameInfo InputError LimitError Limits
MissingLibraryError NonFiniteError ParameterInfo PayloadError Profile ProfileError ProfileRequiredError Quantiser Spec
SpecError Stage StageInfo TensorInfo TransformProfile TruncatedError UnsupportedError choice decode decode_coefficients
decode_many encode encode_many encode_symbols info integer is_transform list_stages load_profile make_profile number
parse_spec
"""
PUBLIC = _NAMES.split()


def test_public_names_are_pinned_and_sorted() -> None:
    assert featcodec.__all__ == PUBLIC == sorted(PUBLIC)
    assert all(hasattr(featcodec, name) for name in PUBLIC)


def test_errors_are_the_tree_drawn_in_their_module() -> None:
    drawn = re.findall(r"([├└]── )?(\w+Error)(?:\((\w+)\))?", errors.__doc__ or "")
    classes = {name: value for name, value in vars(errors).items() if name.endswith("Error")}
    assert {name for _, name, _ in drawn} == set(classes)
    for _, name, builtin in drawn:
        assert issubclass(classes[name], featcodec.FeatcodecError)
        if builtin:
            assert builtin in [base.__name__ for base in classes[name].__mro__]


def test_import_needs_numpy_alone() -> None:
    heavy = ["torch", "onnxruntime", "grpc", "zstandard", "lz4", "brotli", "safetensors", "typer", "rich", "hypothesis"]
    heavy += ["importlib.metadata", "featcodec.testing", "featcodec.cli", "featcodec.quantisers.clip"]
    code = f"import sys, featcodec; print([name for name in {heavy} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


def test_a_missing_library_is_named_with_its_remedy() -> None:
    code = (
        "import sys; sys.modules['zstandard'] = None\n"
        "import featcodec\n"
        "try: featcodec.encode([1.0], 'none|zstd')\n"
        "except featcodec.MissingLibraryError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "stage 'zstd' needs zstandard: pip install zstandard" in run.stdout


def test_profiles_need_safetensors() -> None:
    code = (
        "import sys; sys.modules['safetensors'] = None\n"
        "import featcodec\n"
        "try: featcodec.load_profile(b'')\n"
        "except featcodec.MissingLibraryError as error: print(error)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "stage 'transform' needs safetensors: pip install safetensors" in run.stdout
