// Package id3 writes ID3v2 tags, versions 2.3 and 2.4 (id3.org: "ID3 tag version
// 2.3.0", "ID3 tag version 2.4.0 - Main Structure" and "- Native Frames").
//
// It is small because writing is simple. The library that was tried first wrote
// empty UTF-16 strings without a byte order mark, which makes ffmpeg and others
// drop the frame.
package id3

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode/utf16"
)

// Version is the minor version of a tag.
type Version byte

// The versions that can be written.
const (
	V23 Version = 3
	V24 Version = 4
)

// PictureType says what a picture shows.
type PictureType byte

// Picture types.
const (
	Other      PictureType = 0
	FrontCover PictureType = 3
)

// MaxSize is the size of the largest tag, in bytes.
const MaxSize = 1<<28 - 1

// Text encodings, as the first byte of a text frame.
const (
	latin1 byte = 0
	utf16b byte = 1 // with a byte order mark
	utf8   byte = 3 // 2.4 only
)

// Tag is a tag that is being put together.
type Tag struct {
	version Version
	frames  []byte
}

// New returns an empty tag.
func New(v Version) *Tag { return &Tag{version: v} }

// Empty reports a tag without frames.
func (t *Tag) Empty() bool { return len(t.frames) == 0 }

// Bytes returns the whole tag.
func (t *Tag) Bytes() []byte {
	out := append(make([]byte, 0, 10+len(t.frames)), 'I', 'D', '3', byte(t.version), 0, 0)
	out = appendSyncSafe(out, len(t.frames))
	return append(out, t.frames...)
}

// Text adds a text frame, such as TIT2. Empty text adds nothing.
func (t *Tag) Text(id, text string) {
	if text = clean(text); text == "" {
		return
	}
	e := t.encoding(text)
	t.add(id, []byte{e}, encode(e, text))
}

// UserText adds a TXXX frame. Empty text adds nothing.
func (t *Tag) UserText(description, text string) {
	if text = clean(text); text == "" {
		return
	}
	e := t.encoding(description + text)
	t.add("TXXX", []byte{e}, terminated(e, description), encode(e, text))
}

// Comment adds a COMM frame in a language (ISO 639-2, "XXX" for unknown).
func (t *Tag) Comment(language, text string) { t.languageText("COMM", language, text) }

// Lyrics adds a USLT frame in a language (ISO 639-2, "XXX" for unknown).
func (t *Tag) Lyrics(language, text string) { t.languageText("USLT", language, text) }

func (t *Tag) languageText(id, language, text string) {
	if text = clean(text); text == "" {
		return
	}
	notLetter := func(r rune) bool { return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }
	if len(language) != 3 || strings.ContainsFunc(language, notLetter) {
		language = "XXX"
	}
	e := t.encoding(text)
	t.add(id, append([]byte{e}, language...), terminated(e, ""), encode(e, text))
}

// Picture adds an APIC frame. No two pictures may share both type and
// description.
func (t *Tag) Picture(kind PictureType, mime, description string, data []byte) {
	e := t.encoding(description)
	t.add("APIC", []byte{e}, terminated(latin1, mime), []byte{byte(kind)}, terminated(e, description), data)
}

// Chapter adds a CHAP frame ("ID3v2 Chapter Frame Addendum"). Times are cut to
// milliseconds.
func (t *Tag) Chapter(id string, start, end time.Duration, title string) {
	ms := binary.BigEndian.AppendUint32(nil, milliseconds(start))
	ms = binary.BigEndian.AppendUint32(ms, milliseconds(end))
	ms = append(ms, "\xff\xff\xff\xff\xff\xff\xff\xff"...) // no byte offsets
	inner := New(t.version)
	inner.Text("TIT2", title)
	t.add("CHAP", terminated(latin1, id), ms, inner.frames)
}

// Contents adds a CTOC frame: the one, ordered list of chapters. It has no room for
// more than 255.
func (t *Tag) Contents(chapters []string) {
	const topLevelOrdered = 3
	chapters = chapters[:min(len(chapters), 255)]
	body := append(terminated(latin1, "toc"), topLevelOrdered, byte(len(chapters)))
	for _, id := range chapters {
		body = append(body, terminated(latin1, id)...)
	}
	t.add("CTOC", body)
}

func milliseconds(d time.Duration) uint32 {
	return uint32(min(max(0, d.Milliseconds()), 1<<32-1))
}

// add appends a frame, unless the tag has no room for it.
func (t *Tag) add(id string, parts ...[]byte) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	if len(t.frames)+10+size > MaxSize {
		return
	}
	t.frames = append(t.frames, id...)
	if t.version == V24 {
		t.frames = appendSyncSafe(t.frames, size)
	} else {
		t.frames = binary.BigEndian.AppendUint32(t.frames, uint32(size))
	}
	t.frames = append(t.frames, 0, 0)
	for _, p := range parts {
		t.frames = append(t.frames, p...)
	}
}

// encoding returns the simplest encoding for a text: old players read Latin-1
// best, and ASCII is the part of it on which all agree.
func (t *Tag) encoding(text string) byte {
	for i := range len(text) {
		if text[i] >= 0x80 {
			if t.version == V24 {
				return utf8
			}
			return utf16b
		}
	}
	return latin1
}

// clean returns a text as it can be written: in valid UTF-8, and without NUL, which
// would end it early.
func clean(text string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(text, "\x00", ""), "\uFFFD")
}

// encode returns a text in an encoding.
func encode(encoding byte, text string) []byte {
	text = clean(text)
	if encoding != utf16b {
		return []byte(text)
	}
	out := []byte{0xff, 0xfe}
	for _, u := range utf16.Encode([]rune(text)) {
		out = binary.LittleEndian.AppendUint16(out, u)
	}
	return out
}

// terminated returns a text in an encoding with its end mark.
func terminated(encoding byte, text string) []byte {
	out := encode(encoding, text)
	if encoding == utf16b {
		return append(out, 0, 0)
	}
	return append(out, 0)
}

// appendSyncSafe appends n in four bytes of seven bits.
func appendSyncSafe(b []byte, n int) []byte {
	return append(b, byte(n>>21&0x7f), byte(n>>14&0x7f), byte(n>>7&0x7f), byte(n&0x7f))
}
