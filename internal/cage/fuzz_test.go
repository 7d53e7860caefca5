package cage

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// deaf is a child's end of which nothing is heard.
type deaf struct{ net.Conn }

func (deaf) Write(b []byte) (int, error)      { return len(b), nil }
func (deaf) SetWriteDeadline(time.Time) error { return nil }

// watched is a destination that a child must not get out of bounds.
type watched struct {
	t         *testing.T
	pos, size int64
}

func (w *watched) Write(b []byte) (int, error) {
	if w.pos > w.size || len(b) == 0 || len(b) > maxPiece {
		w.t.Errorf("%d bytes at %d of %d", len(b), w.pos, w.size)
	}
	w.pos += int64(len(b))
	w.size = max(w.size, w.pos)
	return len(b), nil
}

func (w *watched) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekStart {
		w.pos = offset
	}
	if offset < 0 || w.pos > w.size {
		w.t.Errorf("a seek to %d of %d", offset, w.size)
	}
	return w.pos, nil
}

// FuzzSession plays a child that says anything at all. Its parent reads and writes
// within bounds, and ends the session at the first word that is out of them.
func FuzzSession(f *testing.F) {
	message := func(k kind, body ...byte) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte{byte(k)}, uint32(len(body))), body...)
	}
	eight := make([]byte, 8)
	write := message(msgWrite, append(eight, "sound"...)...)
	for _, seed := range [][]byte{
		write, append(write, message(msgDone, []byte(`{"Result":{"samples":1}}`)...)...),
		message(msgRead, append(eight, 255, 0, 0, 0)...), message(msgProgress, []byte(`{"Position":1}`)...),
		message(msgDone, []byte(`{"Failure":{"Code":"limit_exceeded","Detail":"x","NoMemory":true}}`)...),
		message(msgWrite, 255, 255, 255, 255, 255, 255, 255, 255, 1), {'w', 255, 255, 255, 255},
		message(msgDone, []byte(`{"Result":{"partial":true},"Partial":{"Code":"truncated"}}`)...),
	} {
		f.Add(seed, true)
		f.Add(seed, false)
	}
	c := &Cage{cfg: Config{}.withDefaults()}
	f.Fuzz(func(t *testing.T, said []byte, seekable bool) {
		const most = 1 << 10
		dst := &watched{t: t}
		s := &session{
			cage: c, conn: deaf{}, began: time.Now(), src: bytes.NewReader(make([]byte, 1000)), size: 1000,
			opts: &transcode.Options{Limits: transcode.Limits{OutputBytes: most}},
		}
		if seekable {
			s.output(dst)
		} else {
			s.output(struct{ io.Writer }{dst})
		}
		for r := bytes.NewReader(said); ; {
			k, body, buf, err := readMessage(r, s.buf, maxMessage)
			s.buf = buf
			if err != nil {
				break
			}
			v, err := s.serve(k, body)
			if v != nil {
				result, err := s.end(v)
				if (result == nil) == (err == nil) {
					t.Errorf("a verdict of %+v and %v", result, err)
				}
				if result != nil && result.BytesWritten != dst.size {
					t.Errorf("%d bytes of %d", result.BytesWritten, dst.size)
				}
				break
			}
			if err != nil {
				break
			}
		}
		if dst.size > most+maxPiece {
			t.Errorf("it wrote %d bytes", dst.size)
		}
	})
}
