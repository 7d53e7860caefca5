package cage

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// childName is the name by which a program knows that it is a caged child; ps shows
// it.
const childName = "mp3lathe-caged"

// Descriptors of a child besides 0 and 1, which are /dev/null, and 2, its last words.
const socketFD = 3

// Enter makes this process a caged child, if it was started as one, and then does not
// return. A program whose children are caged calls it first in main, and a test in
// TestMain.
func Enter() { EnterWith(transcode.Convert) }

// EnterWith is [Enter] with another conversion.
func EnterWith(convert Converter) {
	if os.Args[0] != childName {
		entered.Store(true)
		return
	}
	err := child(os.Args[1:], convert)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mp3lathe: caged child:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// child is the life of a child.
func child(args []string, convert Converter) error {
	locks, err := lockIn(args)
	if err != nil {
		return err
	}
	// A traceback of the goroutine at fault is enough for a log.
	debug.SetTraceback("single")
	p := &parent{conn: socket(socketFD)}
	if err := p.tell(msgReady, locks); err != nil {
		return err
	}
	k, body, _, err := readMessage(p.conn, nil, maxTask)
	if errors.Is(err, io.EOF) {
		return nil // it was not needed
	}
	if err != nil || k != msgJob {
		return fmt.Errorf("no job came: %q %w", k, err)
	}
	var t task
	if err := json.Unmarshal(body, &t); err != nil {
		return err
	}
	transcode.LimitEncoders(t.Encoders)
	t.Options.Progress = func(progress transcode.Progress) {
		if err := p.tell(msgProgress, progress); err != nil {
			p.fail(err)
		}
	}
	src := &source{parent: p, size: t.Size}
	dst := io.Writer(&sink{parent: p})
	if t.Seekable {
		dst = &seekableSink{sink{parent: p}}
	}
	result, err := convert(context.Background(), dst, src, &t.Options)
	v := verdict{Result: result, Failure: failureOf(err)}
	if result != nil {
		v.Partial = failureOf(result.PartialReason)
	}
	return p.tell(msgDone, v)
}

// socket reads and writes a descriptor in blocking calls, without the runtime's
// poller, which has no business in the cage.
type socket int

func (s socket) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(s), p)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

func (s socket) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		n, err := unix.Write(int(s), p[written:])
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return written, err
		}
		written += n
	}
	return written, nil
}

// parent is the child's view of its parent. It is used by one goroutine at a time,
// the converting one.
type parent struct {
	conn    socket
	out, in []byte
}

// fail ends the child: its parent is gone, or does not understand it.
func (p *parent) fail(err error) {
	fmt.Fprintln(os.Stderr, "mp3lathe: caged child: the parent:", err)
	os.Exit(1)
}

func (p *parent) tell(k kind, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		p.out, err = writeMessage(p.conn, p.out, k, b)
	}
	return err
}

// read fetches bytes of the source at an offset; none are its end.
func (p *parent) read(b []byte, offset int64) int {
	var ask [12]byte
	binary.LittleEndian.PutUint64(ask[:], uint64(offset))
	binary.LittleEndian.PutUint32(ask[8:], uint32(min(len(b), maxPiece)))
	var err error
	if p.out, err = writeMessage(p.conn, p.out, msgRead, ask[:]); err != nil {
		p.fail(err)
	}
	k, body, in, err := readMessage(p.conn, p.in, maxMessage)
	p.in = in
	switch {
	case err != nil:
		p.fail(err)
	case k != msgData || len(body) < 2 || len(body)-2 > len(b):
		p.fail(errProtocol)
	}
	transcode.LimitEncoders(int(binary.LittleEndian.Uint16(body)))
	return copy(b, body[2:])
}

// write hands over bytes of the MP3.
func (p *parent) write(b []byte, offset int64) {
	var at [8]byte
	binary.LittleEndian.PutUint64(at[:], uint64(offset))
	for len(b) > 0 {
		piece := b[:min(len(b), maxPiece)]
		var err error
		if p.out, err = writeMessage(p.conn, p.out, msgWrite, at[:], piece); err != nil {
			p.fail(err)
		}
		b = b[len(piece):]
		binary.LittleEndian.PutUint64(at[:], binary.LittleEndian.Uint64(at[:])+uint64(len(piece)))
	}
}

// source is the source as the conversion reads it. In most videos a piece of sound
// lies between every few pictures; to ask the parent for each costs more than to take
// the pictures between them along, which buckets do too.
type source struct {
	parent    *parent
	size, pos int64

	window []byte // read ahead
	start  int64  // of the window
	end    int64  // of the last read
	near   int    // reads in a row that were short, and close behind the one before
}

const (
	// smallRead and smallGap, in bytes, are what counts as short and as close.
	smallRead = 32 << 10
	smallGap  = 64 << 10
	// nearReads are how many such reads it takes for more to be expected.
	nearReads = 4
)

func (s *source) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if gap := s.pos - s.end; len(b) <= smallRead && gap >= 0 && gap <= smallGap {
		s.near++
	} else {
		s.near = 0
	}
	n := 0
	if off := s.pos - s.start; off >= 0 && off < int64(len(s.window)) {
		n = copy(b, s.window[off:])
	} else if s.near < nearReads {
		n = s.parent.read(b, s.pos)
	} else {
		if s.window == nil {
			s.window = make([]byte, maxPiece)
		}
		s.window = s.window[:cap(s.window)]
		s.window = s.window[:s.parent.read(s.window, s.pos)]
		s.start = s.pos
		n = copy(b, s.window)
	}
	s.pos += int64(n)
	s.end = s.pos
	if n == 0 {
		return 0, io.EOF
	}
	return n, nil
}

func (s *source) Seek(offset int64, whence int) (int64, error) {
	return seek(&s.pos, s.size, offset, whence)
}

// sink is the MP3 as the conversion writes it.
type sink struct {
	parent    *parent
	pos, size int64
}

func (s *sink) Write(b []byte) (int, error) {
	s.parent.write(b, s.pos)
	s.pos += int64(len(b))
	s.size = max(s.size, s.pos)
	return len(b), nil
}

// seekableSink is one that can go back.
type seekableSink struct{ sink }

func (s *seekableSink) Seek(offset int64, whence int) (int64, error) {
	return seek(&s.pos, s.size, offset, whence)
}

// seek is that of an [io.Seeker] of a size.
func seek(pos *int64, size, offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += *pos
	case io.SeekEnd:
		offset += size
	}
	if offset < 0 {
		return *pos, errors.New("a negative position")
	}
	*pos = offset
	return offset, nil
}
