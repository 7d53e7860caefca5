package mp4

// maxTagBox is the largest box copied for the reader of tags. Lyrics and long
// descriptions fit; what apps hide in their own boxes mostly does not.
const maxTagBox = 256 << 10

// maxPictures bounds the pictures of a file.
const maxPictures = 32

// readTags takes over a udta or meta box of the movie for [File.TagsHeader],
// without its pictures, and notes where those are.
func (f *File) readTags(b box) error {
	copied, err := f.copyTags(nil, b, 0)
	if err != nil {
		return err
	}
	if int64(len(f.tags)+len(copied)) > f.limits.Allocation {
		return nil // tags are not worth failing for
	}
	f.tags = append(f.tags, copied...)
	return nil
}

// copyTags appends a box, filtered, to dst. Tags lie at most at
// udta/meta/ilst/item; deeper ones are copied as they are.
func (f *File) copyTags(dst []byte, b box, depth int) ([]byte, error) {
	g := f.moov
	skip := int64(0) // bytes of b before its children
	switch {
	case depth == 0 && b.kind == "udta", depth <= 2 && b.kind == "ilst":
	case depth <= 1 && b.kind == "meta":
		// A full box in MP4 (8.11.1), a plain one in QuickTime.
		if h, err := g.bytes(b.body, int(min(8, b.size()))); err != nil {
			return dst, err
		} else if len(h) == 8 && string(h[4:8]) != "hdlr" {
			skip = 4
		}
	case b.kind == "covr":
		return dst, f.readPictures(b)
	case b.kind == "----":
		return dst, f.readFreeform(b)
	case b.kind == "chpl" && depth == 1:
		return dst, f.readChapters(b)
	default:
		if b.end-b.start > maxTagBox || int64(len(dst))+b.end-b.start > f.limits.Allocation {
			return dst, nil
		}
		raw, err := g.copy(b.start, b.end, maxTagBox)
		if err != nil {
			return dst, err
		}
		return append(dst, appendBox(nil, b.kind, raw[b.body-b.start:])...), nil
	}
	var inner []byte
	if skip > 0 {
		h, err := g.bytes(b.body, int(skip))
		if err != nil {
			return dst, err
		}
		inner = append(inner, h...)
	}
	err := g.boxes(b.body+skip, b.end, func(c box) (err error) {
		inner, err = f.copyTags(inner, c, depth+1)
		return err
	})
	if err != nil || int64(len(dst)+len(inner)) > f.limits.Allocation {
		return dst, err
	}
	return appendBox(dst, b.kind, inner), nil
}

// readFreeform reads an item whose name is a text, of which iTunSMPB alone is of
// use.
func (f *File) readFreeform(b box) error {
	g := f.moov
	name, ok, err := g.child(b.body, b.end, "name")
	if err != nil || !ok || name.size() != 4+8 {
		return err
	}
	if v, err := g.bytes(name.body+4, 8); err != nil || string(v) != "iTunSMPB" {
		return err
	}
	data, ok, err := g.child(b.body, b.end, "data")
	if err != nil || !ok || data.size() < 8 || data.size() > 1024 {
		return err
	}
	v, err := g.bytes(data.body+8, int(data.size())-8)
	f.Gapless = string(v)
	return err
}

// readPictures notes the pictures of a covr item.
func (f *File) readPictures(covr box) error {
	return f.moov.boxes(covr.body, covr.end, func(b box) error {
		if b.kind == "data" && b.size() > 8 && len(f.Pictures) < maxPictures {
			f.Pictures = append(f.Pictures, Extent{b.body + 8, b.size() - 8})
		}
		return nil
	})
}

// Picture reads a picture that is no larger than [Limits].Allocation.
func (f *File) Picture(e Extent) ([]byte, error) {
	return f.moov.copy(e.Offset, e.Offset+e.Size, f.limits.Allocation)
}

// PictureHead reads the first bytes of a picture, enough to tell its type.
func (f *File) PictureHead(e Extent) ([]byte, error) {
	return f.moov.bytes(e.Offset, int(min(e.Size, 16)))
}
