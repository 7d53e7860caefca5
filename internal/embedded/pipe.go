package embedded

import (
	"bytes"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// pipe makes two ends of a connection inside the process. Unlike those of
// [net.Pipe], they hold what is written until it is read, as a socket does, but
// without its bound: nobody waits to write, so no two can wait for each other.
func pipe() (client, server net.Conn) {
	a, b := newStream(), newStream()
	return &end{in: a, out: b}, &end{in: b, out: a}
}

// end of a pipe.
type end struct{ in, out *stream }

// Read implements [net.Conn].
func (e *end) Read(p []byte) (int, error) { return e.in.read(p) }

// Write implements [net.Conn]. It never waits.
func (e *end) Write(p []byte) (int, error) { return e.out.write(p) }

// Close implements [net.Conn]. The other end can still read what was written here.
func (e *end) Close() error {
	e.in.close(true)
	e.out.close(false)
	return nil
}

// SetDeadline implements [net.Conn].
func (e *end) SetDeadline(t time.Time) error { return e.SetReadDeadline(t) }

// SetReadDeadline implements [net.Conn].
func (e *end) SetReadDeadline(t time.Time) error {
	e.in.setDeadline(t)
	return nil
}

// SetWriteDeadline implements [net.Conn]. It does nothing, for no write waits.
func (e *end) SetWriteDeadline(time.Time) error { return nil }

// LocalAddr implements [net.Conn].
func (e *end) LocalAddr() net.Addr { return address{} }

// RemoteAddr implements [net.Conn].
func (e *end) RemoteAddr() net.Addr { return address{} }

// address of all ends.
type address struct{}

// Network implements [net.Addr].
func (address) Network() string { return "pipe" }

// String implements [net.Addr].
func (address) String() string { return "pipe" }

// stream is one direction of a pipe.
type stream struct {
	mu      sync.Mutex
	change  sync.Cond // of what a reader waits for
	data    bytes.Buffer
	closed  bool
	late    bool        // the reader's deadline has passed
	timeout *time.Timer // sets late, if there is a deadline to come
}

func newStream() *stream {
	s := &stream{}
	s.change.L = &s.mu
	return s
}

// mostKept is the largest buffer that is kept when nothing is in it.
const mostKept = 64 << 10

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.data.Len() == 0 && !s.closed && !s.late {
		s.change.Wait()
	}
	switch {
	case s.late:
		return 0, os.ErrDeadlineExceeded
	case s.data.Len() == 0:
		return 0, io.EOF
	}
	n, _ := s.data.Read(p)
	if s.data.Len() == 0 && s.data.Cap() > mostKept {
		s.data = bytes.Buffer{}
	}
	return n, nil
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return 0, io.ErrClosedPipe
	}
	s.change.Broadcast()
	return s.data.Write(p)
}

func (s *stream) close(discard bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if discard {
		s.data = bytes.Buffer{}
	}
	s.closed = true
	s.deadline(time.Time{})
}

func (s *stream) setDeadline(t time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.deadline(t)
	}
}

func (s *stream) deadline(t time.Time) {
	if s.timeout != nil {
		s.timeout.Stop()
	}
	s.timeout, s.late = nil, false
	if !t.IsZero() {
		var timeout *time.Timer
		timeout = time.AfterFunc(time.Until(t), func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.timeout == timeout { // or it came while another was set
				s.late = true
				s.change.Broadcast()
			}
		})
		s.timeout = timeout
	}
	s.change.Broadcast()
}
