package mp4

import "encoding/binary"

// maxHeaderBox is the largest of the small boxes that are copied into a header.
const maxHeaderBox = 64 << 10

// Header returns a small file of one track with one sample description and no
// samples, such as opens a fragmented stream. A reader of sample entries learns
// all about the track from it, without the tables and the media of the file.
func (f *File) Header(t *Track, description int) ([]byte, error) {
	if t.broken != nil {
		return nil, t.broken
	}
	small := func(b box) ([]byte, error) {
		if b.end == 0 || b.kind == "udta" && b.size() > maxHeaderBox {
			return nil, nil // there is none, or it is not worth failing for
		}
		raw, err := f.moov.copy(b.body, b.end, maxHeaderBox)
		if err != nil {
			return nil, err
		}
		if b.kind == "mdhd" {
			forgetTimes(raw)
		}
		return appendBox(nil, b.kind, raw), nil
	}
	var parts [4][]byte
	for i, b := range []box{t.tkhd, t.mdhd, t.hdlr, t.udta} {
		var err error
		if parts[i], err = small(b); err != nil {
			return nil, err
		}
	}
	zero := make([]byte, 12)
	stbl := appendBox(nil, "stsd", []byte{0, 0, 0, 0, 0, 0, 0, 1}, t.Descriptions[description].raw)
	stbl = appendBox(stbl, "stts", zero[:8])
	stbl = appendBox(stbl, "stsc", zero[:8])
	stbl = appendBox(stbl, "stsz", zero)
	stbl = appendBox(stbl, "stco", zero[:8])
	// One data reference: in this file.
	dref := appendBox([]byte{0, 0, 0, 0, 0, 0, 0, 1}, "url ", []byte{0, 0, 0, 1})
	minf := appendBox(nil, "smhd", zero[:8])
	minf = appendBox(minf, "dinf", appendBox(nil, "dref", dref))
	minf = appendBox(minf, "stbl", stbl)
	mdia := append(append([]byte(nil), parts[1]...), parts[2]...)
	mdia = appendBox(mdia, "minf", minf)
	trak := append([]byte(nil), parts[0]...)
	trak = appendBox(trak, "mdia", mdia)
	trak = append(trak, parts[3]...)
	return f.header(appendBox(nil, "trak", trak)), nil
}

// forgetTimes clears the times of creation and modification in an mdhd (ISO/IEC
// 14496-12, 8.4.2). To put one into words, libav asks the C library, and that reads
// the time zone's file, which a process that may open no file must not.
func forgetTimes(mdhd []byte) {
	n := 12
	if len(mdhd) > 0 && mdhd[0] == 1 {
		n = 20
	}
	if len(mdhd) >= n {
		clear(mdhd[4:n])
	}
}

// TagsHeader returns a small file that has nothing but the movie's tags, without
// pictures.
func (f *File) TagsHeader() []byte { return f.header(f.tags) }

// header returns a file with the brand of f and these boxes in its moov.
func (f *File) header(boxes []byte) []byte {
	mvhd := make([]byte, 100)
	binary.BigEndian.PutUint32(mvhd[12:], 1000)    // timescale
	binary.BigEndian.PutUint32(mvhd[20:], 0x10000) // rate 1.0
	binary.BigEndian.PutUint32(mvhd[96:], 2)       // next track ID
	moov := appendBox(nil, "mvhd", mvhd)
	moov = append(moov, boxes...)
	return appendBox(append([]byte(nil), f.ftyp...), "moov", moov)
}
