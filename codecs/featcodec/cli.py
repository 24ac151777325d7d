"""The command `featcodec`: arrays in .npy files to frames and back.

Exit codes: 0 done; 2 wrong usage, unknown codec or a codec whose library is missing; 3 the input cannot be
read or encoded; 4 not a frame this program can decode; 5 the output cannot be written. Errors are one line
on stderr. Built on argparse, so that the library's own command needs no more than the library.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import featcodec
from featcodec.files import ReadError, WriteError, read_array, read_bytes, write, write_array
from featcodec.limits import MIB

USAGE, INPUT, FRAME, OUTPUT, INTERRUPTED = 2, 3, 4, 5, 130


class _ProfileFileError(Exception):
    """The file given with --profile is of no use."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(USAGE, f"featcodec: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.run(options)
        sys.stdout.flush()
    except (featcodec.SpecError, featcodec.MissingLibraryError) as error:
        return _fail(USAGE, str(error))
    except _ProfileFileError as error:
        return _fail(INPUT, str(error))
    except featcodec.ProfileRequiredError as error:
        return _fail(FRAME, f"{options.input}: {error}; give its --profile FILE.safetensors")
    except (featcodec.InputError, ReadError) as error:
        return _fail(INPUT, f"{options.input}: {error}" if hasattr(options, "input") else str(error))
    except featcodec.FeatcodecError as error:
        return _fail(FRAME, f"{options.input}: {error}")
    except WriteError as error:
        return _fail(OUTPUT, str(error))
    except KeyboardInterrupt:
        return _fail(INTERRUPTED, "interrupted")
    except OSError as error:  # only printing is left to raise it: a closed pipe, a full disk
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _fail(OUTPUT, f"standard output cannot be written: {error.strerror}")
    return 0


def _fail(code: int, message: str) -> int:
    print("featcodec:", " ".join(message.split()), file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser("featcodec", description="Encode feature maps (.npy) into compact frames and back.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    encode = commands.add_parser("encode", help="an array into a frame")
    encode.add_argument("input", type=Path, metavar="IN.npy")
    encode.add_argument("output", type=Path, metavar="OUT.fcf")
    encode.add_argument("--codec", default="affine|zlib", metavar="SPEC", help="default: %(default)s")
    _add_profile(encode)
    encode.set_defaults(run=_encode)

    decode = commands.add_parser("decode", help="a frame into an array")
    decode.add_argument("input", type=Path, metavar="IN.fcf")
    decode.add_argument("output", type=Path, metavar="OUT.npy")
    decode.add_argument("--max-mib", type=_mebibytes, default=256, help="largest array, default %(default)s")
    _add_profile(decode)
    decode.set_defaults(run=_decode)

    info = commands.add_parser("info", help="what a frame holds")
    info.add_argument("input", type=Path, metavar="FILE.fcf")
    info.add_argument("--json", action="store_true", help="for programs")
    info.set_defaults(run=_info)

    stages = commands.add_parser("stages", help="all stages a codec can be made of")
    stages.set_defaults(run=_stages)
    return parser


def _add_profile(command: argparse.ArgumentParser) -> None:
    told = "calibrated profile, for codecs such as transform:step=1.75|rans"
    command.add_argument("--profile", type=Path, metavar="FILE.safetensors", help=told)


def _mebibytes(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 1 << 20:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of MiB from 1 to {1 << 20}")
    return int(text)


def _encode(options: argparse.Namespace) -> None:
    spec = featcodec.parse_spec(options.codec)
    if spec.needs_profile and options.profile is None:
        raise featcodec.SpecError(f"{spec} needs a calibrated profile: give --profile FILE.safetensors")
    profile = _profile(options)
    array = read_array(options.input)
    frame = featcodec.encode(array, spec, profile=profile)
    write(options.output, frame)
    times = f", {array.nbytes / len(frame):.2f} times fewer" if array.nbytes else ""
    print(f"{options.output}: {len(frame):,} bytes with {spec} from {array.nbytes:,}{times}")


def _decode(options: argparse.Namespace) -> None:
    size = options.max_mib * MIB
    limits = featcodec.Limits(frame_bytes=max(size, 64 * MIB), decoded_bytes=size, elements=size)
    profile = _profile(options)
    profiles = {profile.fingerprint: profile} if profile else {}
    array = featcodec.decode(read_bytes(options.input), profiles=profiles, limits=limits)
    write_array(options.output, array)
    print(f"{options.output}: {array.dtype} {array.shape}, {array.nbytes:,} bytes")


def _profile(options: argparse.Namespace) -> featcodec.TransformProfile | None:
    if options.profile is None:
        return None
    try:
        return featcodec.load_profile(options.profile)
    except featcodec.ProfileError as error:
        raise _ProfileFileError(f"--profile {options.profile}: {error}") from error


def _info(options: argparse.Namespace) -> None:
    header = featcodec.info(read_bytes(options.input))
    tensors = [
        {
            "dtype": str(tensor.dtype.newbyteorder("=")),
            "shape": list(tensor.shape),
            "bytes": tensor.nbytes,
            "params_bytes": len(tensor.params),
            "payload_bytes": tensor.payload_bytes,
        }
        for tensor in header.tensors
    ]
    if options.json:
        fields = {
            "version": header.version,
            "codec": header.spec,
            "profile": header.fingerprint.hex() or None,
            "frame_bytes": header.frame_bytes,
            "header_bytes": header.header_bytes,
            "tensors": tensors,
            "extensions": [{"tag": e.tag, "bytes": len(e.data)} for e in header.extensions],
        }
        print(json.dumps(fields))
        return
    print(f"codec    {header.spec}")
    print(f"frame    {header.frame_bytes:,} bytes, {header.header_bytes:,} of them header (version {header.version})")
    if header.fingerprint:
        print(f"profile  {header.fingerprint.hex()}")
    for tensor in tensors:
        print(f"tensor   {tensor['dtype']} {tensor['shape']}, {tensor['payload_bytes']:,} of {tensor['bytes']:,} bytes")


def _stages(options: argparse.Namespace) -> None:
    for stage in featcodec.list_stages():
        notes = [stage.kind, *(["lossless"] if stage.lossless else [])]
        notes += [f"needs {stage.library}"] if stage.library else []
        print(f"{stage.name:10} {', '.join(notes)}\n{'':10} {stage.doc}")
        for parameter in stage.parameters:
            print(f"{'':10} {parameter.name}={parameter.default}: {parameter.doc}; {parameter.range}")


if __name__ == "__main__":
    sys.exit(main())
