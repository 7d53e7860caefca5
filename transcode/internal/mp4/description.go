package mp4

import "encoding/binary"

// maxDescriptions bounds the sample entries of a track. Real tracks have one,
// live recordings a handful.
const maxDescriptions = 64

// Description is a sample entry: what the samples of a track are.
type Description struct {
	// Format is the four-character code of the entry, such as "mp4a".
	Format string
	// Original is the code before encryption, with Encrypted; else Format.
	Original string
	// Encrypted reports a protected entry (8.12, or Apple's FairPlay).
	Encrypted bool
	// External reports that the samples lie in another file.
	External bool
	// Packing as QuickTime's version 1 and 2 entries give it: a compressed
	// packet holds FrameSamples samples in FrameBytes bytes. 0 if not given.
	FrameSamples, FrameBytes uint32

	raw []byte // the whole entry, with a header of 8 bytes
}

// encryptedFormats are the entries that stand for protected audio.
var encryptedFormats = map[string]bool{"enca": true, "drms": true, "aavd": true}

// readDescriptions reads stsd (8.5.2).
func (t *Track) readDescriptions(b box, external []bool) error {
	g := t.file.moov
	if len(t.Descriptions) > 0 {
		return nil
	}
	count, err := g.u32(b.body + 4)
	if err != nil {
		return err
	}
	return g.boxes(b.body+8, b.end, func(e box) error {
		if uint32(len(t.Descriptions)) == count {
			return nil
		}
		if len(t.Descriptions) == maxDescriptions {
			return overLimit("more than %d sample descriptions", maxDescriptions)
		}
		left := t.file.limits.Allocation - t.file.described // for all tracks together
		body, err := g.copy(e.body, e.end, min(1<<20, left))
		if err != nil {
			return err
		}
		t.file.described += e.size()
		d := Description{Format: e.kind, Original: e.kind, raw: appendBox(nil, e.kind, body)}
		d.readEntry(external)
		t.Descriptions = append(t.Descriptions, d)
		return nil
	})
}

// readEntry reads the fields of an audio sample entry (12.2.3, and QuickTime's
// versions 1 and 2 of it).
func (d *Description) readEntry(external []bool) {
	d.Encrypted = encryptedFormats[d.Format]
	b := d.raw
	if len(b) < 36 {
		return
	}
	if ref := int(binary.BigEndian.Uint16(b[14:])); ref >= 1 && ref <= len(external) {
		d.External = external[ref-1]
	}
	children := 36
	switch version := binary.BigEndian.Uint16(b[16:]); {
	case version == 1 && len(b) >= 52:
		d.FrameSamples = binary.BigEndian.Uint32(b[36:])
		d.FrameBytes = binary.BigEndian.Uint32(b[44:])
		children = 52
	case version == 2 && len(b) >= 72:
		d.FrameBytes = binary.BigEndian.Uint32(b[64:])
		d.FrameSamples = binary.BigEndian.Uint32(b[68:])
		children = 72
	}
	d.findProtection(b, children)
	if children != 36 {
		// A version 1 entry in an ISO file has no extra fields.
		d.findProtection(b, 36)
	}
}

// findProtection looks for the scheme information of a protected entry.
func (d *Description) findProtection(entry []byte, from int) {
	g := &region{window: entry, size: int64(len(entry))}
	sinf, ok, err := g.child(int64(from), g.size, "sinf")
	if err != nil || !ok {
		return
	}
	d.Encrypted = true
	frma, ok, err := g.child(sinf.body, sinf.end, "frma")
	if err == nil && ok && frma.size() >= 4 {
		if b, err := g.bytes(frma.body, 4); err == nil {
			d.Original = string(b)
		}
	}
}
