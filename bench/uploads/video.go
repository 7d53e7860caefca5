package main

import (
	"context"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"sync"
)

// noise is what videos are made of: bytes that no disk can pack.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
})

// newVideo returns so many bytes, 64 at the least, that begin as an MP4 file does, the
// same ones each time. They cost hardly more than a copy.
func newVideo(n int64) io.Reader {
	head := []byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom\x00\x00\x00\x01mdat")
	head = binary.BigEndian.AppendUint64(head, uint64(n-24))
	return &filler{head: head, left: n}
}

type filler struct {
	head []byte
	pos  int64
	left int64
}

func (f *filler) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, io.EOF
	}
	from := f.head
	if f.pos >= int64(len(from)) {
		from = noise()[f.pos%int64(len(noise())):]
	} else {
		from = from[f.pos:]
	}
	n := copy(p[:min(int64(len(p)), f.left)], from)
	f.pos, f.left = f.pos+int64(n), f.left-int64(n)
	return n, nil
}

// video is a reader that ends with its context.
type video struct {
	ctx context.Context
	io.Reader
}

func (v video) Read(p []byte) (int, error) {
	if err := v.ctx.Err(); err != nil {
		return 0, err
	}
	return v.Reader.Read(p)
}
