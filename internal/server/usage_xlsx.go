package server

import (
	"archive/zip"
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const xlsxType = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"

// sheetRows is how many rows a sheet can hold.
const sheetRows = 1 << 20

// xlsxTable is a workbook (ECMA-376) of nothing but rows, written as they come: a library for all that a spreadsheet can be
// would be a quarter of the program. What is more than a sheet can hold goes to the next one, under the same first row.
type xlsxTable struct {
	book   *zip.Writer
	sheet  io.Writer // nil before the first row
	sheets int
	rows   int // of this sheet
	limit  int // of rows
	head   []any
	buffer bytes.Buffer // one row
}

func newXLSX(w io.Writer) *xlsxTable { return &xlsxTable{book: zip.NewWriter(w), limit: sheetRows} }

// row writes amounts as numbers to calculate with, with all their digits. A spreadsheet keeps 15 of them when it reads the
// file.
func (t *xlsxTable) row(cells ...any) error {
	if t.head == nil {
		t.head = cells
	}
	if t.sheet == nil || t.rows == t.limit {
		if err := t.next(); err != nil {
			return err
		}
		if t.sheets > 1 {
			if err := t.add(t.head); err != nil {
				return err
			}
		}
	}
	return t.add(cells)
}

// next ends a sheet and begins another.
func (t *xlsxTable) next() (err error) {
	if err := t.endSheet(); err != nil {
		return err
	}
	t.sheets, t.rows = t.sheets+1, 0
	t.sheet, err = t.part(fmt.Sprintf("xl/worksheets/sheet%d.xml", t.sheets), `<worksheet xmlns="`+mainSpace+`"><sheetData>`)
	return err
}

func (t *xlsxTable) endSheet() error {
	if t.sheet == nil {
		return nil
	}
	_, err := io.WriteString(t.sheet, `</sheetData></worksheet>`)
	return err
}

// add writes a row into the sheet. Texts are always texts, so that nothing is taken for a formula.
func (t *xlsxTable) add(cells []any) error {
	t.rows++
	row := strconv.Itoa(t.rows)
	t.buffer.Reset()
	t.buffer.WriteString(`<row r="` + row + `">`)
	for i, value := range cells {
		text, number := cell(value)
		switch at := `<c r="` + column(i) + row; {
		case text == "":
		case number:
			t.buffer.WriteString(at + `"><v>` + text + `</v></c>`)
		default:
			t.buffer.WriteString(at + `" t="inlineStr"><is><t xml:space="preserve">`)
			if err := xml.EscapeText(&t.buffer, []byte(text)); err != nil {
				return err
			}
			t.buffer.WriteString(`</t></is></c>`)
		}
	}
	t.buffer.WriteString(`</row>`)
	_, err := t.buffer.WriteTo(t.sheet)
	return err
}

// column is the name of a column, from 0: A, B, …, Z, AA, …
func column(i int) string {
	name := string(rune('A' + i%26))
	if i >= 26 {
		return column(i/26-1) + name
	}
	return name
}

// end writes the parts that say what the sheets are.
func (t *xlsxTable) end() error {
	if err := t.endSheet(); err != nil {
		return err
	}
	var types, sheets, relations strings.Builder
	for n := 1; n <= t.sheets; n++ {
		fmt.Fprintf(&types, `<Override PartName="/xl/worksheets/sheet%d.xml" ContentType="%sworksheet+xml"/>`, n, contentTypes)
		fmt.Fprintf(&sheets, `<sheet name="Sheet%d" sheetId="%d" r:id="rId%d"/>`, n, n, n)
		fmt.Fprintf(&relations, `<Relationship Id="rId%d" Type="%s/worksheet" Target="worksheets/sheet%d.xml"/>`, n, relationSpace, n)
	}
	for _, part := range [][2]string{
		{"[Content_Types].xml", `<Types xmlns="` + packageSpace + `content-types">` +
			`<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>` +
			`<Override PartName="/xl/workbook.xml" ContentType="` + contentTypes + `sheet.main+xml"/>` + types.String() + `</Types>`},
		{"_rels/.rels", `<Relationships xmlns="` + packageSpace + `relationships">` +
			`<Relationship Id="rId1" Type="` + relationSpace + `/officeDocument" Target="xl/workbook.xml"/></Relationships>`},
		{"xl/workbook.xml", `<workbook xmlns="` + mainSpace + `" xmlns:r="` + relationSpace + `"><sheets>` + sheets.String() + `</sheets></workbook>`},
		{"xl/_rels/workbook.xml.rels", `<Relationships xmlns="` + packageSpace + `relationships">` + relations.String() + `</Relationships>`},
	} {
		if _, err := t.part(part[0], part[1]); err != nil {
			return err
		}
	}
	return t.book.Close()
}

// The names of ECMA-376.
const (
	mainSpace     = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
	relationSpace = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
	packageSpace  = "http://schemas.openxmlformats.org/package/2006/"
	contentTypes  = "application/vnd.openxmlformats-officedocument.spreadsheetml."
)

// part begins a file of the workbook.
func (t *xlsxTable) part(name, text string) (io.Writer, error) {
	w, err := t.book.Create(name)
	if err == nil {
		_, err = io.WriteString(w, xml.Header+text)
	}
	return w, err
}
