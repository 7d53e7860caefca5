package cage

import (
	"bufio"
	"cmp"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"os"
	"runtime"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// session is the parent's side of one conversion. It serves the child, and believes
// nothing that it says: whatever comes, the parent reads no more of the source and
// writes no more of the MP3 than a conversion may, and holds one piece of it.
type session struct {
	cage  *Cage
	child *process
	conn  net.Conn
	in    *bufio.Reader
	locks Locks

	src       io.ReadSeeker
	size, pos int64 // of src
	opts      *transcode.Options

	dst     io.Writer
	seek    io.WriteSeeker // nil if dst can't
	start   int64          // of the MP3 in seek
	at      int64          // where dst stands, from start
	length  int64          // of the MP3 so far
	written int64          // bytes, those written twice counted twice
	most    int64          // that the MP3 may have
	read    int64          // bytes of src

	reading, writing time.Duration // in src and dst

	began time.Time
	told  int // times that the child has told its progress

	buf, out []byte
}

// start starts a child and waits until it has locked itself in.
func (c *Cage) start(ctx context.Context) (*session, error) {
	child, conn, err := c.spawn.start(bounds{Memory: c.cfg.Memory, CPU: c.cfg.CPU, Without: c.cfg.without})
	if err != nil {
		return nil, err
	}
	s := &session{cage: c, child: child, conn: conn, in: bufio.NewReaderSize(conn, 4<<10)}
	stop := s.watch(ctx)
	defer stop()
	k, body, err := s.receive()
	switch {
	case err != nil:
	case k != msgReady:
		err = fmt.Errorf("%w: it begins with %q", errProtocol, k)
	default:
		err = json.Unmarshal(body, &s.locks)
	}
	if err == nil && c.cfg.Strict && s.locks.Missing() != "" {
		s.close()
		return nil, &MissingError{s.locks}
	}
	if err != nil {
		// Not a [Fault]: it has not seen the source.
		err = fmt.Errorf("a caged process did not start: %v", s.diagnose(ctx, err))
		s.close()
		return nil, cmp.Or(ctx.Err(), err)
	}
	return s, nil
}

// watch ends the child when ctx is done, until stop is called.
func (s *session) watch(ctx context.Context) (stop func() bool) {
	return context.AfterFunc(ctx, s.child.kill)
}

// close ends the child, and waits for its end.
func (s *session) close() {
	s.child.kill()
	s.child.wait()
	s.conn.Close()
}

// output says where the MP3 goes to.
func (s *session) output(dst io.Writer) {
	s.dst = dst
	if ws, ok := dst.(io.WriteSeeker); ok {
		// A pipe may have the method and still not seek.
		if at, err := ws.Seek(0, io.SeekCurrent); err == nil {
			s.seek, s.start = ws, at
		}
	}
	switch s.most = s.opts.Limits.OutputBytes; {
	case s.most == 0:
		s.most = transcode.DefaultMaxOutputBytes
	case s.most < 0:
		s.most = math.MaxInt64
	}
}

// run gives the child its job and serves it to its end.
func (s *session) run(ctx context.Context) (*transcode.Result, error) {
	stop := s.watch(ctx)
	defer stop()
	s.began = time.Now()
	err := s.begin()
	for err == nil {
		var (
			k    kind
			body []byte
			v    *verdict
		)
		if k, body, err = s.receive(); err != nil {
			break
		}
		if v, err = s.serve(k, body); v != nil {
			return s.end(v)
		}
	}
	var own *transcode.Error
	if errors.As(err, &own) {
		return nil, err // the caller's source or destination failed
	}
	return nil, s.diagnose(ctx, err)
}

// begin hands over the job.
func (s *session) begin() error {
	t := task{Options: *s.opts, Size: s.size, Seekable: s.seek != nil, Encoders: s.cage.encoders()}
	b, err := json.Marshal(t)
	if err != nil {
		return &transcode.Error{Op: "open", Err: err}
	}
	return s.send(msgJob, b)
}

// send sends a message. A child that does not take it is silent.
func (s *session) send(k kind, parts ...[]byte) (err error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.cage.cfg.Silence)); err != nil {
		return err
	}
	s.out, err = writeMessage(s.conn, s.out, k, parts...)
	return err
}

// receive takes the child's next message, for which it has some time.
func (s *session) receive() (k kind, body []byte, err error) {
	if err := s.conn.SetReadDeadline(time.Now().Add(s.cage.cfg.Silence)); err != nil {
		return 0, nil, err
	}
	k, body, s.buf, err = readMessage(s.in, s.buf, maxMessage)
	return k, body, err
}

// serve does what a message asks for, and returns the verdict at the end.
func (s *session) serve(k kind, body []byte) (*verdict, error) {
	switch k {
	case msgRead:
		return nil, s.serveRead(body)
	case msgWrite:
		return nil, s.serveWrite(body)
	case msgProgress:
		var p transcode.Progress
		if err := json.Unmarshal(body, &p); err != nil {
			return nil, fmt.Errorf("%w: progress: %w", errProtocol, err)
		}
		// A conversion tells it ten times a second, and is late at times.
		if s.told++; s.told > 100+int(20*time.Since(s.began).Seconds()) {
			return nil, fmt.Errorf("%w: it tells its progress all the time", errProtocol)
		}
		if s.opts.Progress != nil {
			s.opts.Progress(p)
		}
		return nil, nil
	case msgDone:
		v := new(verdict)
		if err := json.Unmarshal(body, v); err != nil {
			return nil, fmt.Errorf("%w: verdict: %w", errProtocol, err)
		}
		if (v.Result == nil) == (v.Failure == nil) {
			return nil, fmt.Errorf("%w: an empty verdict", errProtocol)
		}
		return v, nil
	}
	return nil, fmt.Errorf("%w: a message of the kind %q", errProtocol, k)
}

// serveRead reads from the source.
func (s *session) serveRead(body []byte) error {
	if len(body) != 12 {
		return fmt.Errorf("%w: a read of %d bytes", errProtocol, len(body))
	}
	offset, n := int64(binary.LittleEndian.Uint64(body)), int64(binary.LittleEndian.Uint32(body[8:]))
	if offset < 0 || n < 1 || n > maxPiece {
		return fmt.Errorf("%w: it wants %d bytes at %d", errProtocol, n, offset)
	}
	n = min(n, max(0, s.size-offset))
	var share [2]byte
	binary.LittleEndian.PutUint16(share[:], uint16(min(s.cage.encoders(), math.MaxUint16)))
	if cap(s.buf) < maxPiece {
		s.buf = make([]byte, maxMessage)
	}
	piece := s.buf[:n]
	if n > 0 {
		if err := s.fetch(piece, offset); err != nil {
			return &transcode.Error{Op: "read", Err: err}
		}
	}
	return s.send(msgData, share[:], piece)
}

// fetch fills a piece from the source.
func (s *session) fetch(piece []byte, offset int64) error {
	defer func(began time.Time) { s.reading += time.Since(began) }(time.Now())
	if s.pos != offset {
		if _, err := s.src.Seek(offset, io.SeekStart); err != nil {
			s.pos = -1
			return err
		}
	}
	n, err := io.ReadFull(s.src, piece)
	s.pos, s.read = offset+int64(n), s.read+int64(n)
	return err
}

// serveWrite writes to the destination.
func (s *session) serveWrite(body []byte) error {
	if len(body) < 9 {
		return fmt.Errorf("%w: a write of %d bytes", errProtocol, len(body))
	}
	offset, piece := int64(binary.LittleEndian.Uint64(body)), body[8:]
	n := int64(len(piece))
	switch {
	case offset < 0 || offset > s.length || offset != s.at && s.seek == nil:
		return fmt.Errorf("%w: it writes at %d of %d", errProtocol, offset, s.length)
	case s.written > s.most-n+maxPiece: // the header frame is written twice
		return fmt.Errorf("%w: it writes more than %d bytes", errProtocol, s.most)
	}
	defer func(began time.Time) { s.writing += time.Since(began) }(time.Now())
	if offset != s.at {
		if _, err := s.seek.Seek(s.start+offset, io.SeekStart); err != nil {
			return &transcode.Error{Op: "write", Err: err}
		}
	}
	m, err := s.dst.Write(piece)
	if err == nil && int64(m) < n {
		err = io.ErrShortWrite
	}
	if err != nil {
		return &transcode.Error{Op: "write", Err: err}
	}
	s.at, s.written = offset+n, s.written+n
	s.length = max(s.length, s.at)
	return nil
}

// end is the caller's answer. What the parent knows by itself counts.
func (s *session) end(v *verdict) (*transcode.Result, error) {
	if v.Failure != nil {
		return nil, v.Failure.err()
	}
	r := v.Result
	if r.Duration < 0 || r.Samples < 0 || r.Frames < 0 || s.length == 0 {
		return nil, &Fault{Kind: Lied, Detail: "its result makes no sense"}
	}
	if s.seek != nil && s.at != s.length {
		if _, err := s.seek.Seek(s.start+s.length, io.SeekStart); err != nil {
			return nil, &transcode.Error{Op: "write", Err: err}
		}
	}
	r.BytesRead, r.BytesWritten = s.read, s.length
	r.Stages = s.stages(r.Stages)
	r.Track.Codec, r.Track.Language = clean(r.Track.Codec, 32), clean(r.Track.Language, 64)
	r.Track.Profile, r.Track.Layout = clean(r.Track.Profile, 32), clean(r.Track.Layout, 64)
	r.Track.Title = clean(r.Track.Title, maxText)
	r.PartialReason = nil
	if r.Partial && v.Partial != nil {
		r.PartialReason = v.Partial.err()
	}
	return r, nil
}

// stages are the times of a conversion's stages: those that the parent has measured, and
// of the child's the others, as far as they can be. Its encoders can have been at work
// on all processors.
func (s *session) stages(told transcode.StageTimes) transcode.StageTimes {
	most := time.Since(s.began)
	return transcode.StageTimes{
		Read: s.reading, Write: s.writing,
		Decode: min(max(told.Decode, 0), most),
		Encode: min(max(told.Encode, 0), most*time.Duration(runtime.GOMAXPROCS(0))),
	}
}

// diagnose says why a child did not end in order: err is what the parent saw of it.
func (s *session) diagnose(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return &transcode.Error{Op: "decode", Err: ctx.Err()}
	}
	lied, silent := errors.Is(err, errProtocol), errors.Is(err, os.ErrDeadlineExceeded)
	if !lied && !silent {
		// Its end of the socket is closed: it is about to end, if only after a word
		// about why.
		if fault := s.child.died(); fault != nil {
			return fault
		}
	}
	s.child.kill()
	switch {
	case silent:
		return &Fault{Kind: TimedOut, Detail: fmt.Sprintf("no sign of life for %v", s.cage.cfg.Silence)}
	case lied:
		return &Fault{Kind: Lied, Detail: err.Error()}
	}
	return &Fault{Kind: Crashed, Detail: err.Error()}
}
