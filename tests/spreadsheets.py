"""Excel's .xlsx by hand: a zip of XML, as ECMA-376 has it, so that what reads it is not tested against itself."""

import zipfile
from xml.sax.saxutils import escape

_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATED = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_KIND = "application/vnd.openxmlformats-officedocument.spreadsheetml"


def write_xlsx(path, **sheets):
    """sheets: rows of cells by the sheet's name; a cell is a number, a text, a boolean, or None."""
    with zipfile.ZipFile(path, "w") as file:
        parts = [f"xl/worksheets/sheet{i}.xml" for i in range(1, len(sheets) + 1)]
        kinds = [("xl/workbook.xml", "sheet.main"), *((part, "worksheet") for part in parts)]
        overrides = "".join(f'<Override PartName="/{part}" ContentType="{_KIND}.{kind}+xml"/>' for part, kind in kinds)
        plain = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        file.writestr("[Content_Types].xml", f'<Types xmlns="{_PACKAGE}/content-types">{plain}{overrides}</Types>')
        file.writestr("_rels/.rels", _relations([("officeDocument", "xl/workbook.xml")]))
        file.writestr(
            "xl/_rels/workbook.xml.rels",
            _relations([("worksheet", part.removeprefix("xl/")) for part in parts]),
        )
        listed = "".join(
            f'<sheet name="{escape(name)}" sheetId="{i}" r:id="rId{i}"/>' for i, name in enumerate(sheets, 1)
        )
        book = f'<workbook xmlns="{_MAIN}" xmlns:r="{_RELATED}"><sheets>{listed}</sheets></workbook>'
        file.writestr("xl/workbook.xml", book)
        for part, rows in zip(parts, sheets.values(), strict=True):
            lines = "".join(f'<row r="{i}">{_cells(row, i)}</row>' for i, row in enumerate(rows, 1))
            file.writestr(part, f'<worksheet xmlns="{_MAIN}"><sheetData>{lines}</sheetData></worksheet>')
    return path


def _relations(targets):
    inner = "".join(
        f'<Relationship Id="rId{i}" Type="{_RELATED}/{kind}" Target="{target}"/>'
        for i, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inner}</Relationships>'


def _cells(row, number):
    return "".join(_cell(cell, f"{chr(ord('A') + i)}{number}") for i, cell in enumerate(row) if cell is not None)


def _cell(cell, at):
    if isinstance(cell, bool):
        return f'<c r="{at}" t="b"><v>{int(cell)}</v></c>'
    if isinstance(cell, str):
        return f'<c r="{at}" t="inlineStr"><is><t>{escape(cell)}</t></is></c>'
    return f'<c r="{at}"><v>{cell!r}</v></c>'
