"""What the radiologist wrote and drew: a sentence in the site's language, and boxes as Pascal VOC XML."""

from __future__ import annotations

from xml.sax.saxutils import escape

from suwen.simulation.lesions import Lesion
from suwen.simulation.patients import Language

Box = tuple[int, int, int, int]

ZONES = ("upper", "middle", "lower")
_ZONE_BORDERS = (0.38, 0.68)  # of the lung's height; invented

SENTENCES: dict[Language, dict[str, str]] = {
    "en": {
        "normal": "The lungs are clear, without nodule or opacity.",
        "nodule": "There is a round nodule of about {size} mm in the {zone} zone of the {side} lung.",
        "opacity": "There is a patchy opacity of about {size} cm in the {zone} zone of the {side} lung.",
    },
    "zh": {
        "normal": "双肺野清晰，未见结节影及斑片影。",
        "nodule": "{side}肺{zone}野见一类圆形结节影，直径约{size} mm。",
        "opacity": "{side}肺{zone}野见斑片状密度增高影，范围约{size} cm。",
    },
}

_WORDS: dict[Language, dict[str, str]] = {
    "en": {"left": "left", "right": "right", "upper": "upper", "middle": "middle", "lower": "lower"},
    "zh": {"left": "左", "right": "右", "upper": "上", "middle": "中", "lower": "下"},
}


def side_of(lesion: Lesion) -> str:
    """The subject's side: films hang as if the subject faced us, so the image's left is the subject's right."""
    return "right" if lesion.side < 0 else "left"


def zone_of(lesion: Lesion) -> str:
    """Upper, middle or lower zone of the lung."""
    return ZONES[sum(lesion.down > border for border in _ZONE_BORDERS)]


def sentence(lesion: Lesion | None, language: Language) -> str:
    """One sentence that says what the film truly shows, also where no one could see it."""
    if lesion is None:
        return SENTENCES[language]["normal"]
    words = _WORDS[language]
    size = round(lesion.size_mm) if lesion.finding == "nodule" else max(round(lesion.size_mm / 10.0), 1)
    return SENTENCES[language][lesion.finding].format(
        size=size, zone=words[zone_of(lesion)], side=words[side_of(lesion)]
    )


def voc(filename: str, size: int, label: str, box: Box | None) -> str:
    """Annotation of a grey image of `size` by `size` pixels with one object, or none, as Pascal VOC XML.

    VOC counts pixels from 1 and its corners are inclusive (Everingham et al., Int J Comput Vis 2010;88:303, and the
    development kit), so the box (0, 0, 0, 0), the first pixel alone, is written 1, 1, 1, 1.
    """
    lines = [
        "<annotation>",
        "  <folder>images</folder>",
        f"  <filename>{escape(filename)}</filename>",
        "  <source><database>suwen virtual hospital (simulated)</database></source>",
        f"  <size><width>{size}</width><height>{size}</height><depth>1</depth></size>",
        "  <segmented>1</segmented>",
    ]
    if box is not None:
        corners = zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        lines += [
            "  <object>",
            f"    <name>{escape(label)}</name>",
            "    <pose>Unspecified</pose>",
            "    <truncated>0</truncated>",
            "    <difficult>0</difficult>",
            "    <bndbox>" + "".join(f"<{name}>{value + 1}</{name}>" for name, value in corners) + "</bndbox>",
            "  </object>",
        ]
    return "\n".join([*lines, "</annotation>", ""])
