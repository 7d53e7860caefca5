package worker_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"math"
	"time"

	"github.com/mp3lathe/mp3lathe/worker"
)

// pcm makes a QuickTime file of uncompressed mono sound with the index first.
func pcm(seconds int) []byte {
	const rate = 16000
	n := seconds * rate
	u16 := func(v ...uint16) (b []byte) {
		for _, x := range v {
			b = binary.BigEndian.AppendUint16(b, x)
		}
		return b
	}
	u32 := func(v ...uint32) (b []byte) {
		for _, x := range v {
			b = binary.BigEndian.AppendUint32(b, x)
		}
		return b
	}
	box := func(kind string, payload ...[]byte) []byte {
		body := bytes.Join(payload, nil)
		return append(append(u32(uint32(8+len(body))), kind...), body...)
	}
	zero := func(n int) []byte { return make([]byte, n) }
	const perChunk = rate
	index := func(first uint32) []byte {
		var offsets []byte
		for i := range seconds {
			offsets = append(offsets, u32(first+uint32(i*2*perChunk))...)
		}
		entry := box("sowt", zero(7), []byte{1}, zero(8), u16(1, 16, 0, 0), u32(rate<<16))
		return box("moov",
			box("mvhd", zero(12), u32(1000, uint32(seconds*1000)), zero(80)),
			box("trak",
				box("tkhd", u32(1, 0, 0, 1), zero(68)),
				box("mdia",
					box("mdhd", u32(0, 0, 0, rate, uint32(n), 0)),
					box("hdlr", u32(0, 0), []byte("soun"), zero(13)),
					box("minf", box("stbl",
						box("stsd", u32(0, 1), entry),
						box("stts", u32(0, 1, uint32(n), 1)),
						box("stsc", u32(0, 1, 1, perChunk, 1)),
						box("stsz", u32(0, 2, uint32(n))),
						box("stco", u32(0, uint32(seconds)), offsets))))))
	}
	head := box("ftyp", []byte("qt  "), u32(512), []byte("qt  "))
	first := uint32(len(head) + len(index(0)) + 8)
	samples := make([]byte, 0, 2*n)
	for i := range n {
		v := int16(8000 * math.Sin(2*math.Pi*440*float64(i)/rate))
		samples = binary.LittleEndian.AppendUint16(samples, uint16(v))
	}
	return bytes.Join([][]byte{head, index(first), box("mdat", samples)}, nil)
}

// slow reads no more than so much at once and rests before, so that a conversion
// takes as long as a test wants. Like the readers of a real bucket it ends with its
// context.
type slow struct {
	worker.Source
	ctx  context.Context
	most int
	rest time.Duration
}

func (s slow) Read(p []byte) (int, error) {
	select {
	case <-s.ctx.Done():
		return 0, s.ctx.Err()
	case <-time.After(s.rest):
	}
	return s.Source.Read(p[:min(len(p), s.most)])
}

// slowly makes sources slow: about half a second of pcm in each 10 ms.
func slowly(ctx context.Context, s worker.Source) worker.Source {
	return slow{s, ctx, 16000, 10 * time.Millisecond}
}

// crawling makes them slower: pcm of two minutes takes 24 s.
func crawling(ctx context.Context, s worker.Source) worker.Source {
	return slow{s, ctx, 1600, 10 * time.Millisecond}
}

// stalling stops at a place in the source until gate is closed, deaf to its context,
// like a process that was stopped.
type stalling struct {
	worker.Source
	left    int
	reached func()
	gate    <-chan struct{}
}

func (s *stalling) Read(p []byte) (int, error) {
	if s.left <= 0 {
		s.reached()
		<-s.gate
	}
	n, err := s.Source.Read(p[:min(len(p), 16000)])
	s.left -= n
	return n, err
}

var _ io.ReadSeekCloser = (*stalling)(nil)
