package mp4

import (
	"bytes"
	"errors"
	"strings"
)

// Track is a track of a file. Of tracks that are neither audio nor text only ID
// and Handler are read.
type Track struct {
	ID uint32
	// Handler is the media type, "soun" for audio, "vide" for video.
	Handler string
	// Enabled is the track's flag of the same name: the track takes part in the
	// presentation by default (8.3.2).
	Enabled bool
	// Timescale of the media in ticks a second.
	Timescale uint32
	// Duration of the media in ticks as declared; 0 if it isn't.
	Duration uint64
	// ExtendedLanguage is a BCP 47 tag, empty if there is none (8.4.6).
	ExtendedLanguage string
	// Edits is the edit list; nil if there is none.
	Edits []Edit
	// Descriptions are the sample entries (8.5.2).
	Descriptions []Description

	file *File
	// broken says why the track can't be read; the others still can.
	broken error

	chapters []uint32 // tracks with the chapters of this one

	// boxes within the index, of which a header for others is made.
	tkhd, mdhd, hdlr, udta box
	sampleTable
}

// Audio reports whether this is an audio track.
func (t *Track) Audio() bool { return t.Handler == "soun" || t.Handler == "m1a " }

// text reports a text track, such as chapters are kept in.
func (t *Track) text() bool { return t.Handler == "text" || t.Handler == "sbtl" }

// Check reports what keeps the track from being read, or nil.
func (t *Track) Check() error { return t.broken }

func (f *File) readTrack(b box) (*Track, error) {
	t := &Track{file: f}
	err := t.read(b)
	if err == nil && (t.Audio() || t.text()) {
		switch {
		case t.Timescale == 0:
			err = invalid("the track's timescale is zero")
		case len(t.Descriptions) == 0:
			err = invalid("the track does not say what its samples are (stsd)")
		}
	}
	if errors.Is(err, ErrInvalid) || errors.Is(err, ErrLimit) {
		t.broken, err = err, nil
	}
	return t, err
}

func (t *Track) read(trak box) error {
	g := t.file.moov
	mdia, ok, err := g.child(trak.body, trak.end, "mdia")
	if err != nil || !ok {
		return err
	}
	if t.hdlr, ok, err = g.child(mdia.body, mdia.end, "hdlr"); err != nil || !ok {
		return err
	}
	kind, err := g.bytes(t.hdlr.body+8, 4)
	if err != nil {
		return err
	}
	t.Handler = string(kind)
	return g.boxes(trak.body, trak.end, func(b box) error {
		switch {
		case b.kind == "tkhd":
			t.tkhd = b
			return t.readTrackHeader(b)
		case !t.Audio() && !t.text():
			return nil
		case b.kind == "tref":
			return t.readReferences(b)
		case b.kind == "edts" && t.Edits == nil:
			elst, ok, err := g.child(b.body, b.end, "elst")
			if err != nil || !ok {
				return err
			}
			return t.readEditList(elst)
		case b.kind == "mdia":
			return t.readMedia(b)
		case b.kind == "udta":
			t.udta = b
		}
		return nil
	})
}

// readTrackHeader reads tkhd (8.3.2).
func (t *Track) readTrackHeader(b box) error {
	g := t.file.moov
	h, err := g.bytes(b.body, 4)
	if err != nil {
		return err
	}
	version := h[0]
	t.Enabled = h[3]&1 != 0
	at := b.body + 12
	if version == 1 {
		at = b.body + 20
	}
	t.ID, err = g.u32(at)
	return err
}

func (t *Track) readMedia(mdia box) error {
	g := t.file.moov
	return g.boxes(mdia.body, mdia.end, func(b box) (err error) {
		switch b.kind {
		case "mdhd":
			t.mdhd = b
			t.Timescale, t.Duration, err = readTimescale(g, b)
		case "elng":
			if b.size() > 4 && b.size() < 64 {
				var v []byte
				if v, err = g.bytes(b.body+4, int(b.size())-4); err == nil {
					tag, _, _ := bytes.Cut(v, []byte{0})
					t.ExtendedLanguage = strings.ToValidUTF8(string(tag), "")
				}
			}
		case "minf":
			err = t.readMediaInformation(b)
		}
		return err
	})
}

func (t *Track) readMediaInformation(minf box) error {
	g := t.file.moov
	external, err := t.readDataReferences(minf)
	if err != nil {
		return err
	}
	stbl, ok, err := g.child(minf.body, minf.end, "stbl")
	if err != nil || !ok {
		return err
	}
	return g.boxes(stbl.body, stbl.end, func(b box) error {
		switch b.kind {
		case "stsd":
			return t.readDescriptions(b, external)
		default:
			return t.sampleTable.read(g, b)
		}
	})
}

// readDataReferences returns, for each data reference, whether the media lies in
// another file (8.7.2).
func (t *Track) readDataReferences(minf box) ([]bool, error) {
	g := t.file.moov
	dinf, ok, err := g.child(minf.body, minf.end, "dinf")
	if err != nil || !ok {
		return nil, err
	}
	dref, ok, err := g.child(dinf.body, dinf.end, "dref")
	if err != nil || !ok || dref.size() < 8 {
		return nil, err
	}
	var external []bool
	err = g.boxes(dref.body+8, dref.end, func(b box) error {
		if len(external) == 1024 {
			return errStop
		}
		if b.size() < 4 {
			external = append(external, false)
			return nil
		}
		flags, err := g.u32(b.body)
		external = append(external, flags&1 == 0)
		return err
	})
	if errors.Is(err, errStop) {
		err = nil
	}
	return external, err
}
