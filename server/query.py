"""The options in the query of a request: the names of the command line, as ``Options``."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

from fastapi import Depends, Header, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from server.problems import Problem
from server.wording import SHOWN
from srnet.errors import OptionError
from srnet.image import format_for, read_colour
from srnet.options import Options
from srnet.upscaler import Upscaler

FormatName = Literal["png", "jpeg", "jpg", "webp", "tiff", "tif", "avif"]


def _number(value: object) -> object:
    """What a query holds is text, and a choice of numbers takes none."""
    return int(value) if isinstance(value, str) and value in ("1", "2", "4", "8") else value


class Wishes(BaseModel):
    """What a caller may ask for."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(
        None,
        description="A `family` of /v1/models; absent: the default.",
        max_length=100,
        examples=["photo"],
    )
    scale: float | None = Field(
        None,
        ge=1,
        le=16,
        allow_inf_nan=False,
        description="Factor. At most one of scale, width, height, fit.",
        examples=[4],
    )
    width: int | None = Field(
        None, ge=1, le=1_000_000, description="Of the result, in pixels.", examples=[1920]
    )
    height: int | None = Field(
        None, ge=1, le=1_000_000, description="Of the result, in pixels.", examples=[1080]
    )
    fit: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]{0,5}x[1-9][0-9]{0,5}$",
        description="Box WIDTHxHEIGHT in pixels; the result is as large as fits.",
        examples=["1920x1080"],
    )
    strength: float = Field(
        1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="0 is bicubic, 1 is all of the network.",
        examples=[0.8],
    )
    ensemble: Annotated[Literal[1, 2, 4, 8], BeforeValidator(_number)] = Field(
        1,
        description="Orientations of the picture that are averaged: 1, 2, 4 or 8, as many times "
        "the work.",
        examples=[2],
    )
    format: FormatName | None = Field(
        None,
        description="Absent: what `Accept` asks for, else that of the input (PNG for a residual).",
        examples=["webp"],
    )
    quality: int | None = Field(
        None, ge=1, le=100, description="For JPEG, WebP and AVIF.", examples=[90]
    )
    lossless: bool | None = Field(
        None,
        description="For WebP. Absent: as a WebP input is, unless there is a quality.",
        examples=[True],
    )
    subsampling: Literal["4:4:4", "4:2:2", "4:2:0"] = Field(
        "4:4:4",
        description="Of colour in JPEG and AVIF; 4:4:4 keeps all of it.",
        examples=["4:2:0"],
    )
    png_level: int = Field(
        3, ge=0, le=9, description="For PNG: 0 is quick and large.", examples=[6]
    )
    background: str | None = Field(
        None,
        pattern=r"^(#?[0-9A-Fa-f]{6}|[A-Za-z]{3,20})$",
        description="Colour under transparent pixels, for JPEG: RRGGBB, or a name of CSS.",
        examples=["ffffff"],
    )
    keep_metadata: bool = Field(
        True,
        description="Keep the profile (else colours become sRGB), EXIF, XMP, IPTC, texts, dpi.",
        examples=[False],
    )

    def options(self, defaults: Options, max_pixels: int) -> Options:
        """The options of the library.

        Raises:
            Problem: several sizes were given, or a colour of no known name.
        """
        sizes = [n for n in ("scale", "width", "height", "fit") if getattr(self, n) is not None]
        if len(sizes) > 1:
            raise Problem(
                "bad-parameter", f"Give only one of {', '.join(sizes)}; for a box, use fit."
            )
        box = self.fit.split("x") if self.fit else None
        return replace(
            defaults,
            scale=self.scale,
            width=self.width,
            height=self.height,
            fit=(int(box[0]), int(box[1])) if box else None,
            strength=self.strength,
            ensemble=self.ensemble,
            format=format_for(Path(f"picture.{self.format}")) if self.format else None,
            quality=self.quality,
            lossless=self.lossless,
            subsampling=self.subsampling,
            png_level=self.png_level,
            background=_colour(self.background) if self.background else None,
            keep_metadata=self.keep_metadata,
            max_pixels=max_pixels,
        )


def _colour(text: str) -> tuple[int, int, int]:
    try:
        return read_colour(text)
    except OptionError as error:
        raise Problem("bad-parameter", f"background must be {error}.") from error


_MOST = 2 * len(Wishes.model_fields)  # in one query, so that misspelt ones get their answer


async def _read(request: Request) -> Wishes:
    """The whole query at once: FastAPI takes half a millisecond to look at each option by itself.

    Raises:
        Problem: an option is there twice, or far more than there are.
        RequestValidationError: an option that cannot be.
    """
    count = request.scope["query_string"].count(b"&") + 1
    if count > _MOST:  # each of thousands that are unknown would be looked for among the known
        known = len(Wishes.model_fields)
        raise Problem("bad-parameter", f"There are {count} parameters: at most {known} are known.")
    given = request.query_params
    if len(given) != len(given.multi_items()):
        ((twice, _),) = Counter(name for name, _ in given.multi_items()).most_common(1)
        raise Problem("bad-parameter", f"{twice[:SHOWN]} is there more than once: give it once.")
    try:
        return Wishes.model_validate(dict(given))
    except ValidationError as error:
        found = error.errors(include_url=False)
        placed = [{**item, "loc": ("query", *item["loc"])} for item in found]
        raise RequestValidationError(placed) from error


Wished = Annotated[Wishes, Depends(_read)]
PARAMETERS = [  # of the OpenAPI document, where FastAPI sees a request and no more
    {"name": name, "in": "query", "required": False, "schema": schema}
    | {"description": schema["description"]}
    for name, schema in Wishes.model_json_schema()["properties"].items()
]
Accepted = Annotated[
    str,
    Header(
        alias="Accept",
        description="Chooses the format where `format` is absent: the highest `q`, then that of "
        "the input, then what is named first; what cannot hold the picture is passed over, and "
        "refused if nothing else is named. A header without a format that is written is ignored.",
        max_length=1000,
        examples=["image/webp, image/png;q=0.5"],
    ),
]


def chosen(name: str | None, upscalers: dict[str, Upscaler]) -> tuple[str, Upscaler]:
    """The model asked for, or the default, which is the first.

    Raises:
        Problem: it is not served here.
    """
    name = next(iter(upscalers)) if name is None else name
    if name not in upscalers:
        raise Problem(
            "bad-parameter", f"There is no such model: choose one of {', '.join(upscalers)}."
        )
    return name, upscalers[name]
