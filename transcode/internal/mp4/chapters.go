package mp4

import (
	"encoding/binary"
	"errors"
	"io"
	"time"
	"unicode/utf16"
)

// maxChapters bounds the chapters of a file, of which long audio books have some
// hundred, and maxChapterTitle a title in bytes.
const (
	maxChapters     = 4096
	maxChapterTitle = 16 << 10
)

// Chapter is a named place in the presentation.
type Chapter struct {
	Start time.Duration
	Title string
}

// readChapters reads Nero's chapter list: version and flags, a count, and for each
// chapter its start in 100 ns and a title with its length in a byte before it. The
// count is a byte; in version 1, a reserved byte and then a word.
func (f *File) readChapters(b box) error {
	g := f.moov
	if len(f.Chapters) > 0 {
		return nil
	}
	h, err := g.bytes(b.body, int(min(9, b.size())))
	if err != nil || len(h) < 9 {
		return err
	}
	count, at := int(h[4]), b.body+5
	if h[0] == 1 {
		count, at = int(min(binary.BigEndian.Uint32(h[5:]), maxChapters)), b.body+9
	}
	for range count {
		if b.end-at < 9 {
			return nil
		}
		start, err := g.u64(at)
		if err != nil {
			return err
		}
		n, err := g.bytes(at+8, 1)
		if err != nil {
			return err
		}
		length := int64(n[0])
		at += 9
		if b.end-at < length {
			return nil
		}
		title, err := g.bytes(at, int(length))
		if err != nil {
			return err
		}
		f.Chapters = append(f.Chapters, Chapter{
			Start: time.Duration(min(start, 1<<55)) * 100,
			Title: string(title),
		})
		at += length
	}
	return nil
}

// readReferences notes the tracks that hold the chapters of this one (tref, 8.3.3,
// with QuickTime's reference type chap).
func (t *Track) readReferences(tref box) error {
	g := t.file.moov
	chap, ok, err := g.child(tref.body, tref.end, "chap")
	if err != nil || !ok {
		return err
	}
	for at := chap.body; at+4 <= chap.end && len(t.chapters) < 16; at += 4 {
		id, err := g.u32(at)
		if err != nil {
			return err
		}
		t.chapters = append(t.chapters, id)
	}
	return nil
}

// ReadChapters returns the chapters of the file: Nero's list or, if there is none,
// the text track that an audio track names as its chapters (QuickTime File Format,
// "Chapter Lists"). Only the reader's own errors are returned: where the chapters
// are broken, those before that are all there are.
func (f *File) ReadChapters() ([]Chapter, error) {
	if len(f.Chapters) > 0 {
		return f.Chapters, nil
	}
	tried := map[*Track]bool{} // many tracks may name the same one
	for _, t := range f.Tracks {
		for _, id := range t.chapters {
			for _, text := range f.Tracks {
				if text.ID != id || !text.text() || tried[text] {
					continue
				}
				tried[text] = true
				found, err := text.readTitles()
				if len(found) > 0 || err != nil {
					return found, err
				}
			}
		}
	}
	return nil, nil
}

// readTitles reads the samples of a text track as chapters.
func (t *Track) readTitles() ([]Chapter, error) {
	broken := func(err error) bool {
		return err == io.EOF || errors.Is(err, ErrInvalid) || errors.Is(err, ErrTruncated) || errors.Is(err, ErrLimit)
	}
	samples, err := t.Samples(Packing{})
	if err != nil {
		if broken(err) {
			err = nil
		}
		return nil, err
	}
	var out []Chapter
	left := t.file.limits.Allocation // for all titles together
	for len(out) < maxChapters {
		s, err := samples.Next()
		if err != nil {
			if broken(err) {
				err = nil
			}
			return out, err
		}
		if s.Size < 2 || s.Size > min(maxChapterTitle, left) {
			return out, nil
		}
		left -= s.Size
		b := make([]byte, s.Size)
		if err := readFull(t.file.r, b, s.Offset); err != nil {
			if broken(err) {
				err = nil
			}
			return out, err
		}
		length := int(binary.BigEndian.Uint16(b))
		start := Rescale(s.Time, int64(time.Second), int64(t.Timescale))
		out = append(out, Chapter{Start: time.Duration(start), Title: titleText(b[2:min(2+length, len(b))])})
	}
	return out, nil
}

// titleText decodes a text sample: UTF-8, or UTF-16 with a byte order mark.
func titleText(b []byte) string {
	if len(b) < 2 {
		return string(b)
	}
	var order binary.ByteOrder
	switch binary.BigEndian.Uint16(b) {
	case 0xfeff:
		order = binary.BigEndian
	case 0xfffe:
		order = binary.LittleEndian
	default:
		return string(b)
	}
	var units []uint16
	for b = b[2:]; len(b) >= 2; b = b[2:] {
		units = append(units, order.Uint16(b))
	}
	return string(utf16.Decode(units))
}
