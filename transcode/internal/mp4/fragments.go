package mp4

import "encoding/binary"

// trackExtends are a track's defaults for its fragments (trex, 8.8.3).
type trackExtends struct {
	description, duration, size uint32
}

func (f *File) readExtends(mvex box) error {
	f.extend = map[uint32]trackExtends{}
	return f.moov.boxes(mvex.body, mvex.end, func(b box) error {
		if b.kind != "trex" || len(f.extend) >= f.limits.Tracks {
			return nil
		}
		v, err := f.moov.bytes(b.body, 20)
		if err != nil {
			return err
		}
		f.extend[binary.BigEndian.Uint32(v[4:])] = trackExtends{
			description: binary.BigEndian.Uint32(v[8:]),
			duration:    binary.BigEndian.Uint32(v[12:]),
			size:        binary.BigEndian.Uint32(v[16:]),
		}
		return nil
	})
}

// fragments walks the samples of a track in the movie fragments of a file.
type fragments struct {
	t      *Track
	off    int64 // of the next box at the top
	moof   *region
	runs   []run // of the current fragment that are left
	cursor *region
	boxes  int   // since the last fragment
	read   int64 // bytes of fragments, since it was last asked for
}

// run is a track run: samples in a row (trun, 8.8.8).
type run struct {
	at     int64 // of the entries in the fragment
	count  uint32
	flags  uint32
	track  trackExtends // defaults of its track fragment
	offset int64        // of its data in the file
	time   int64        // of its first sample; -1 goes on where the last ended
}

// Flags of trun and tfhd.
const (
	runDataOffset       = 0x1
	runFirstSampleFlags = 0x4
	runDuration         = 0x100
	runSize             = 0x200
	runSampleFlags      = 0x400
	runCompositionTime  = 0x800

	fragmentBaseOffset  = 0x1
	fragmentDescription = 0x2
	fragmentDuration    = 0x8
	fragmentSize        = 0x10
	fragmentBaseIsMoof  = 0x20000
)

// Bounds on what a hostile fragment can make us do for nothing.
const (
	maxBoxesBetweenMoofs = 1 << 16
	maxRunsOfOneFragment = 1 << 16
)

// entrySize returns the bytes that a sample takes in the run's table.
func entrySize(flags uint32) int64 {
	n := int64(0)
	for _, f := range []uint32{runDuration, runSize, runSampleFlags, runCompositionTime} {
		if flags&f != 0 {
			n += 4
		}
	}
	return n
}

func newFragments(t *Track) *fragments { return &fragments{t: t, off: t.file.end} }

// next returns the next sample, which follows the time now unless the fragment
// says otherwise.
func (f *fragments) next(now int64, packing Packing) (Sample, error) {
	for {
		for len(f.runs) > 0 && f.runs[0].count == 0 {
			f.runs = f.runs[1:]
		}
		if len(f.runs) > 0 {
			return f.sample(&f.runs[0], now, packing)
		}
		if err := f.nextFragment(); err != nil {
			return Sample{}, err
		}
	}
}

// sample takes the next sample of a run.
func (f *fragments) sample(r *run, now int64, packing Packing) (Sample, error) {
	s := Sample{Offset: r.offset, Time: now, Description: int(r.track.description) - 1}
	if r.time >= 0 {
		s.Time, r.time = r.time, -1
	}
	size, duration, n := r.track.size, r.track.duration, uint32(1)
	if width := entrySize(r.flags); width > 0 {
		b, err := f.cursor.bytes(r.at, int(width))
		if err != nil {
			return Sample{}, err
		}
		if r.flags&runDuration != 0 {
			duration, b = binary.BigEndian.Uint32(b), b[4:]
		}
		if r.flags&runSize != 0 {
			size = binary.BigEndian.Uint32(b)
		}
		r.at += width
	} else if packing.Samples == 1 {
		n = min(r.count, groupSamples) // PCM
	}
	s.Size = int64(size) * int64(n)
	s.Duration = int64(duration) * int64(n)
	r.count -= n
	r.offset += s.Size
	return s, nil
}

// nextFragment reads the next fragment that has samples of the track, or returns
// io.EOF at the end of the file.
func (f *fragments) nextFragment() error {
	file := f.t.file
	for {
		b, err := file.topBox(f.off)
		if err != nil {
			return err
		}
		if f.boxes++; f.boxes > maxBoxesBetweenMoofs {
			return invalid("more than %d boxes between two fragments", maxBoxesBetweenMoofs)
		}
		if b.kind != "moof" {
			// A media box that is cut off is met when its samples are read.
			f.off = min(b.end, file.size)
			continue
		}
		if b.end > file.size {
			return truncated("in a fragment (moof) at byte %d", b.start)
		}
		f.off, f.boxes = b.end, 0
		f.read += b.end - b.start
		if f.moof, err = newRegion(file.r, b.body, b.size()); err != nil {
			return err
		}
		f.cursor = f.moof.fork()
		f.runs = f.runs[:0]
		if err := f.readFragment(b.start); err != nil {
			return err
		}
		if len(f.runs) > 0 {
			return nil
		}
	}
}

// readFragment collects the runs of the track in a fragment that starts at the
// given byte of the file.
func (f *fragments) readFragment(start int64) error {
	implicit := start // where data lies that says nothing of its place
	return f.moof.boxes(0, f.moof.size, func(b box) error {
		if b.kind != "traf" {
			return nil
		}
		tfhd, ok, err := f.moof.child(b.body, b.end, "tfhd")
		if err != nil || !ok {
			return err
		}
		h, err := f.readTrackFragment(tfhd)
		if err != nil {
			return err
		}
		base := implicit
		switch {
		case h.hasBase:
			base = h.base
		case h.baseIsMoof:
			base = start
		}
		implicit, err = f.readRuns(b, h, base)
		return err
	})
}

// trackFragment is a track fragment header (tfhd, 8.8.7).
type trackFragment struct {
	id         uint32
	base       int64
	hasBase    bool
	baseIsMoof bool
	defaults   trackExtends
}

func (f *fragments) readTrackFragment(b box) (h trackFragment, err error) {
	flags, err := f.moof.u32(b.body)
	if err != nil {
		return h, err
	}
	if h.id, err = f.moof.u32(b.body + 4); err != nil {
		return h, err
	}
	h.defaults = f.t.file.extend[h.id]
	h.baseIsMoof = flags&fragmentBaseIsMoof != 0
	at := b.body + 8
	if flags&fragmentBaseOffset != 0 {
		base, err := f.moof.u64(at)
		if err != nil {
			return h, err
		}
		h.base, h.hasBase = int64(min(base, 1<<61)), true
		at += 8
	}
	for _, field := range []struct {
		flag uint32
		to   *uint32
	}{
		{fragmentDescription, &h.defaults.description},
		{fragmentDuration, &h.defaults.duration},
		{fragmentSize, &h.defaults.size},
	} {
		if flags&field.flag != 0 {
			if *field.to, err = f.moof.u32(at); err != nil {
				return h, err
			}
			at += 4
		}
	}
	if h.defaults.description == 0 {
		h.defaults.description = 1 // some live packagers leave out trex
	}
	return h, nil
}

// readRuns reads the runs of a track fragment and returns where their data ends.
// Of other tracks only that is of interest, since ours may follow them.
func (f *fragments) readRuns(traf box, h trackFragment, base int64) (int64, error) {
	data := base
	time := int64(-1)
	ours := h.id == f.t.ID
	err := f.moof.boxes(traf.body, traf.end, func(b box) (err error) {
		switch {
		case b.kind == "tfdt" && ours:
			time, err = f.readDecodeTime(b)
		case b.kind == "trun":
			var r run
			if r, err = f.readRun(b, h, base, data); err != nil {
				return err
			}
			if data, err = f.runEnd(r); err != nil {
				return err
			}
			if ours && r.count > 0 {
				if len(f.runs) == maxRunsOfOneFragment {
					return overLimit("a fragment of more than %d runs", maxRunsOfOneFragment)
				}
				r.time, time = time, -1
				f.runs = append(f.runs, r)
			}
		}
		return err
	})
	return data, err
}

// readDecodeTime reads tfdt (8.8.12).
func (f *fragments) readDecodeTime(b box) (int64, error) {
	version, err := f.moof.bytes(b.body, 1)
	if err != nil {
		return 0, err
	}
	if version[0] == 1 {
		v, err := f.moof.u64(b.body + 4)
		return int64(min(v, 1<<60)), err
	}
	v, err := f.moof.u32(b.body + 4)
	return int64(v), err
}

// readRun reads the header of a run (8.8.8). Its data lies at an offset from base
// or, where it gives none, at data, where the last run's ended.
func (f *fragments) readRun(b box, h trackFragment, base, data int64) (run, error) {
	r := run{track: h.defaults, offset: data}
	var err error
	if r.flags, err = f.moof.u32(b.body); err != nil {
		return r, err
	}
	if r.count, err = f.moof.u32(b.body + 4); err != nil {
		return r, err
	}
	r.at = b.body + 8
	if r.flags&runDataOffset != 0 {
		off, err := f.moof.u32(r.at)
		if err != nil {
			return r, err
		}
		r.offset = base + int64(int32(off))
		r.at += 4
	}
	if r.flags&runFirstSampleFlags != 0 {
		r.at += 4
	}
	if r.offset < 0 {
		return r, invalid("a run of samples before the start of the file")
	}
	width := entrySize(r.flags)
	if width > 0 && int64(r.count) > (b.end-r.at)/width {
		return r, invalid("a run of %d samples with room for %d", r.count, max(0, b.end-r.at)/width)
	}
	return r, nil
}

// runEnd returns where the data of a run ends.
func (f *fragments) runEnd(r run) (int64, error) {
	if r.flags&runSize == 0 {
		return r.offset + int64(min(uint64(r.track.size)*uint64(r.count), 1<<61)), nil
	}
	skip := int64(0)
	if r.flags&runDuration != 0 {
		skip = 4
	}
	end, width := r.offset, entrySize(r.flags)
	for i := range int64(r.count) {
		size, err := f.moof.u32(r.at + i*width + skip)
		if err != nil {
			return 0, err
		}
		end += int64(size)
	}
	return end, nil
}
