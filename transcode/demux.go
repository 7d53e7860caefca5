package transcode

import (
	"fmt"
	"io"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// readAhead is the most that is read of the media in one piece. Only samples that
// lie side by side are read together, so nothing is read that isn't used.
const readAhead = 256 << 10

// packet is a compressed frame on the media's timeline. Times are in ticks of the
// track's timescale.
type packet struct {
	data           []byte // valid until the next call
	time, duration int64
	description    int
	last           bool // of the track
}

// demuxer reads the packets of a track.
type demuxer struct {
	src     *source
	track   *mp4.Track
	packing mp4.Packing
	most    int64 // size of a packet
	window  int64 // of what is read in one piece, but for a larger packet

	samples *mp4.Samples
	ahead   []mp4.Sample // read, or to be read, in order
	at      int          // of the next one in ahead
	pending mp4.Sample   // found, but not side by side with those
	found   bool         // there is a pending one
	err     error        // of samples, once they end
	buf     []byte
	base    int64 // of buf in the file

	bytes int64 // of all packets so far
	ticks int64 // of all packets so far
}

func newDemuxer(src *source, track *mp4.Track, packing mp4.Packing, limits Limits) (*demuxer, error) {
	const libavMost = 1 << 30 // sizes are C ints there, padding included
	d := &demuxer{src: src, track: track, packing: packing, most: min(limits.Allocation, libavMost), window: readAhead}
	return d, d.rewind()
}

func (d *demuxer) rewind() (err error) {
	if d.samples == nil {
		d.samples, err = d.track.Samples(d.packing)
	} else {
		d.samples, err = d.samples.Again()
	}
	d.ahead, d.at, d.found, d.err = d.ahead[:0], 0, false, nil
	return err
}

// sample returns the next sample that has data.
func (d *demuxer) sample() (mp4.Sample, error) {
	if d.found {
		d.found = false
		return d.pending, nil
	}
	for d.err == nil {
		var s mp4.Sample
		if s, d.err = d.samples.Next(); d.err == nil && s.Size > 0 {
			return s, nil
		}
		if err := d.src.ctx.Err(); err != nil {
			return s, err
		}
	}
	return mp4.Sample{}, d.err
}

// jump goes to the first packet that ends after a time, in ticks.
func (d *demuxer) jump(ticks int64) error {
	if now, err := d.start(); err != nil || now >= ticks {
		if err := d.rewind(); err != nil {
			return err
		}
	}
	if ticks <= 0 {
		return nil
	}
	return d.seek(ticks)
}

// seek drops packets that end before a time, in ticks. It only goes forward.
func (d *demuxer) seek(ticks int64) error {
	for ; d.at < len(d.ahead); d.at++ {
		if s := d.ahead[d.at]; s.Time+s.Duration > ticks {
			return nil
		}
	}
	for {
		s, err := d.sample()
		if err != nil {
			return err
		}
		if s.Time+s.Duration > ticks {
			d.pending, d.found = s, true
			return nil
		}
	}
}

// start returns the time of the next packet, in ticks.
func (d *demuxer) start() (int64, error) {
	if d.at < len(d.ahead) {
		return d.ahead[d.at].Time, nil
	}
	s, err := d.sample()
	if err == nil {
		d.pending, d.found = s, true
	}
	return s.Time, err
}

// next returns the next packet, or io.EOF.
func (d *demuxer) next() (packet, error) {
	if err := d.src.ctx.Err(); err != nil {
		return packet{}, err
	}
	if d.at == len(d.ahead) {
		if err := d.fill(); err != nil {
			return packet{}, err
		}
	}
	s := d.ahead[d.at]
	d.at++
	d.bytes += s.Size
	d.ticks += s.Duration
	return packet{
		data:        d.buf[s.Offset-d.base:][:s.Size],
		time:        s.Time,
		duration:    s.Duration,
		description: s.Description,
		last:        d.at == len(d.ahead) && d.err == io.EOF,
	}, nil
}

// fill reads the next samples that lie side by side.
func (d *demuxer) fill() error {
	first, err := d.sample()
	if err != nil {
		return err
	}
	if first.Size > d.most {
		return &Error{Op: "read", Err: ErrLimit, Detail: fmt.Sprintf("a compressed frame of %d bytes; at most %d are allowed", first.Size, d.most)}
	}
	ahead, size := append(d.ahead[:0], first), first.Size
	for {
		s, err := d.sample()
		if err != nil {
			break // met again when it is its turn
		}
		if s.Offset != first.Offset+size || size+s.Size > d.window {
			d.pending, d.found = s, true
			break
		}
		ahead, size = append(ahead, s), size+s.Size
	}
	if int64(cap(d.buf)) < size {
		d.buf = make([]byte, max(size, d.window/4))
	}
	d.buf, d.base = d.buf[:size], first.Offset
	if n, err := d.src.ReadAt(d.buf, d.base); n < len(d.buf) {
		if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF {
			// The reader said that it had more.
			err = &Error{Op: "read", Err: ErrTruncated, Detail: fmt.Sprintf("the source ended at byte %d", d.base+int64(n))}
		}
		return err
	}
	d.ahead, d.at = ahead, 0
	return nil
}
