package gateway

import (
	"bufio"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// readAhead is how much of a multipart body is read at a time. Package
// mime/multipart would ask the connection for 4 KiB at a time.
const readAhead = 32 << 10

// maxBeside is how much may stand beside the file between two points of a
// multipart body: the head of a part, or a field. It counts what was read ahead.
const maxBeside = readAhead + 64<<10

// boundary returns the boundary of a multipart/form-data body; "" if it is of
// another type.
func boundary(contentType string) (string, error) {
	mediaType, params, err := mime.ParseMediaType(contentType)
	if mediaType != "multipart/form-data" {
		return "", nil // also if it is no media type: the bytes decide
	}
	if b := params["boundary"]; err == nil && b != "" && len(b) <= 70 { // RFC 2046, 5.1.1
		return b, nil
	}
	return "", badForm(http.StatusBadRequest, "The content type multipart/form-data has no usable boundary.")
}

func badForm(status int, detail string) *httpapi.Problem {
	return httpapi.NewProblem(status, "bad_form", detail)
}

// formReader walks the parts of a multipart/form-data body.
type formReader struct {
	form *form
	// anyName takes a file under any field name, else it has to be "file".
	anyName bool
	// file takes the one file.
	file func(io.Reader) error
}

// read reads a body to its end.
func (fr *formReader) read(b *body, buffered *bufio.Reader, boundary string) error {
	r := multipart.NewReader(buffered, boundary)
	seen := false
	for fields := 0; ; {
		b.allow(maxBeside)
		part, err := r.NextRawPart()
		switch {
		case err == io.EOF && seen: // NextRawPart says so only after the last boundary
			return fr.form.validate("form")
		case err == io.EOF:
			return httpapi.NewProblem(http.StatusUnprocessableEntity, "no_file", "The form has no file; want one in the field \"file\".")
		case err != nil:
			return formFault(b, err)
		}
		name, isFile := part.FormName(), part.FileName() != ""
		switch {
		case name == "file", fr.anyName && isFile:
			if seen {
				return badForm(http.StatusUnprocessableEntity, "The form has more than one file; upload one at a time.")
			}
			if err := fr.form.validate("form"); err != nil {
				return err
			}
			seen = true
			fr.form.nameFile(part.FileName())
			b.allow(-1)
			if err := fr.file(part); err != nil {
				return err
			}
		case isFile:
			return badForm(http.StatusUnprocessableEntity, "The form has a file in a field not called \"file\".")
		default:
			if fields++; fields > maxFields {
				return badForm(http.StatusUnprocessableEntity, "The form has too many fields.")
			}
			if err := fr.field(b, name, part); err != nil {
				return err
			}
		}
	}
}

// field takes a field that is no file. One without a value counts as not given, as
// a browser sends the inputs that were left empty.
func (fr *formReader) field(b *body, name string, part io.Reader) error {
	value, err := io.ReadAll(io.LimitReader(part, maxField+1))
	switch {
	case err != nil:
		return formFault(b, err)
	case len(value) > maxField:
		return badForm(http.StatusUnprocessableEntity, "A field of the form is too long.")
	case name == "":
		return badForm(http.StatusUnprocessableEntity, "A field of the form has no name.")
	case len(value) == 0, name == "_charset_": // RFC 7578, 4.6
		return nil
	}
	return fr.form.set("form", name, string(value))
}

// formFault tells a body that could not be read from one that is no form.
func formFault(b *body, err error) error {
	switch {
	case b.err != nil && b.err != io.EOF:
		return b.broken(b.err)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return b.broken(err) // it ends, but not with a boundary
	}
	return badForm(http.StatusBadRequest, "The body is not well-formed multipart/form-data.").WithCause(err)
}
