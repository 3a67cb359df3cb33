"""The shape of the code: imports point down, one owner per third party, short files."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted([*ROOT.glob("srnet/**/*.py"), *ROOT.glob("server/**/*.py")])
TESTS = sorted(ROOT.glob("tests/**/*.py"))

LAYERS = [  # each may import from those before it, and from its own
    "errors card bicubic tiles metrics alpha sizes logs device graphics colour",
    "files identity formats exif xmp notes pngcolour webp structure tiff boxes",
    "pngchunks pillow avif embedded depth",
    "pixels cicp",
    "container convert animation",
    "stills",
    "encode",
    "backprojection",
    "image model optim captured",
    "quantise folded weights degrade",
    "fused",
    "simulate tune basis",
    "data patches engine kinds options cache debian likeness",
    "output openvino_graph openvino_int8",
    "openvino_engine ensemble",
    "enlarge",
    "upscaler",
    "product",
    "naming work batch calibrate evaluate compare export modelcard report",
    "losses recipe",
    "checkpoint",
    "train",
    "study",
    "cli __main__",
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names.split()}
PICTURES = {
    "image",
    "encode",
    "pixels",
    "colour",
    "convert",
    "container",
    "stills",
    "pillow",
    "animation",
}
OWNERS = {  # third party: the only modules of srnet that may import it
    "PIL": PICTURES | {"debian", "graphics"},  # the set was cut with Pillow's bicubic
    "cv2": PICTURES | {"degrade", "likeness"},
    "skimage": {"metrics"},
    "tifffile": PICTURES,
    "safetensors": {"weights"},
    "torch": {
        *(
            "device",
            "model",
            "backprojection",
            "folded",
            "fused",
            "optim",
            "weights",
            "engine",
            "quantise",
            "tune",
            "basis",
            "openvino_graph",
        ),
        *(
            "captured",
            "losses",
            "simulate",
            "patches",
            "recipe",
            "checkpoint",
            "train",
            "study",
            "export",
            "logs",
            "cli",
        ),
    },
    "openvino": {"openvino_engine", "openvino_graph", "openvino_int8"},
    "platformdirs": {"cache"},
    "typer": {"cli"},
    "fastapi": {"cli"},
}


def imported(file: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def module(file: Path) -> str:
    return file.relative_to(ROOT / "srnet").parts[0].removesuffix(".py")


def short_name(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", FILES + TESTS, ids=short_name)
def test_files_and_functions_are_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= 300, "two ideas in one room?"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef) and node.body:
            start = node.body[0].lineno  # a signature of many options is no logic
            length = (node.end_lineno or 0) - start
            assert length <= 40, f"{node.name} has {length} lines"


@pytest.mark.parametrize("file", FILES, ids=short_name)
def test_imports_point_down(file: Path) -> None:
    if "server" in file.parts[:-1] or file.name == "__init__.py":
        return
    own = RANK[module(file)]
    for name in imported(file):
        first, *rest = name.split(".")
        if first == "srnet" and rest and rest[0] in RANK:
            assert RANK[rest[0]] <= own, f"{module(file)} imports {name} upward"
        if first in OWNERS:
            assert module(file) in OWNERS[first], f"{module(file)} imports {first}"
        if first == "server":
            assert module(file) == "cli", "the library never imports the server"


@pytest.mark.parametrize(
    "statement",
    [
        "import srnet",
        "import srnet.upscaler, srnet.product, srnet.image",
        "import srnet.cli",
    ],
)
def test_torch_is_imported_on_first_use(statement: str) -> None:
    code = f"{statement}; import sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_exist() -> None:
    import srnet

    assert sorted(srnet.__all__) == srnet.__all__
    for name in srnet.__all__:
        assert getattr(srnet, name) is not None
    with pytest.raises(AttributeError):
        srnet.nothing  # noqa: B018
