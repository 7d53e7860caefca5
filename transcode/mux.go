package transcode

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// muxer writes the MP3 file: tag, header frame, audio frames. The header frame
// says how long the file is, which is known only at the end. Where the
// destination can seek, it is written again then; where it can't, it holds what
// the source's index promises.
type muxer struct {
	out   *output
	buf   *bufio.Writer
	seek  io.WriteSeeker // nil if the destination can't
	start int64          // of the header frame in it

	info   mp3.InfoHeader
	size   int // of the header frame; 0 if it has none
	frames int64
	bytes  int64 // of all frames, the header's included
	crc    uint16
	toc    mp3.TOC
}

// promise is what is known of the audio before it is encoded.
type promise struct {
	frames  int64 // 0 if not known
	padding int
}

// output counts what goes to the caller's writer and keeps it in bounds. Its
// errors are the writer's own.
type output struct {
	w       io.Writer
	written int64
	most    int64
	took    time.Duration
}

func (o *output) Write(p []byte) (int, error) {
	if o.written+int64(len(p)) > o.most {
		return 0, &Error{Op: "write", Err: ErrLimit, Detail: fmt.Sprintf("more than %d bytes of MP3", o.most)}
	}
	began := time.Now()
	n, err := o.w.Write(p)
	o.took += time.Since(began)
	o.written += int64(n)
	if err == nil && n < len(p) {
		err = io.ErrShortWrite
	}
	return n, err
}

// newMuxer writes the tag and the header frame. info holds what is known of the
// stream; its counts are filled in here.
func newMuxer(dst io.Writer, most int64, tag []byte, info mp3.InfoHeader, p promise) (*muxer, error) {
	m := &muxer{out: &output{w: dst, most: most}, info: info}
	m.buf = bufio.NewWriterSize(m.out, 64<<10)
	if ws, ok := dst.(io.WriteSeeker); ok {
		// A pipe may have the method and still not seek.
		if at, err := ws.Seek(0, io.SeekCurrent); err == nil {
			m.seek, m.start = ws, at+int64(len(tag))
		}
	}
	if _, err := m.buf.Write(tag); err != nil {
		return nil, err
	}
	m.size = m.info.Size()
	if m.size == 0 {
		m.info.Gapless = false // smaller frames, for what is left
		m.size = m.info.Size()
	}
	if m.size == 0 {
		return m, nil
	}
	m.bytes = int64(m.size)
	promised := m.info
	if p.frames > 0 && p.frames < 1<<32 {
		promised.HasFrames, promised.Frames, promised.Padding = true, uint32(p.frames), p.padding
	}
	header, err := promised.Encode()
	if err != nil {
		return nil, err
	}
	_, err = m.buf.Write(header)
	return m, err
}

// frame appends an MP3 frame.
func (m *muxer) frame(data []byte) error {
	m.frames++
	m.bytes += int64(len(data))
	m.crc = mp3.CRC16(m.crc, data)
	m.toc.Add(len(data))
	_, err := m.buf.Write(data)
	return err
}

// finish completes the file. padding is the number of samples at its end that a
// player drops.
func (m *muxer) finish(padding int) error {
	if err := m.buf.Flush(); err != nil {
		return err
	}
	if m.seek == nil || m.size == 0 {
		return nil
	}
	m.info.Padding = padding
	m.info.MusicCRC = m.crc
	if m.frames < 1<<32 {
		m.info.HasFrames, m.info.Frames = true, uint32(m.frames)
	}
	if m.bytes < 1<<32 {
		m.info.HasBytes, m.info.Bytes = true, uint32(m.bytes)
	}
	table := m.toc.Table(m.size)
	m.info.TOC = &table
	header, err := m.info.Encode()
	if err != nil {
		return err
	}
	if len(header) != m.size {
		return fmt.Errorf("the header frame changed from %d to %d bytes", m.size, len(header))
	}
	defer func(began time.Time) { m.out.took += time.Since(began) }(time.Now())
	if _, err := m.seek.Seek(m.start, io.SeekStart); err != nil {
		return err
	}
	if n, err := m.seek.Write(header); err != nil {
		return err
	} else if n < len(header) {
		return io.ErrShortWrite
	}
	_, err = m.seek.Seek(m.start+m.bytes, io.SeekStart)
	return err
}
