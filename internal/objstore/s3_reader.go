package objstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"gocloud.dev/blob"
)

// What a reader of an S3 object fetches. The sizes are in bytes.
const (
	firstFetch = 64 << 10 // on opening: the start, which says the object's size too
	minFetch   = 16 << 10
	maxFetch   = 1 << 20
	// maxGap is what may be skipped in reading on. Where the gaps are small it is cheaper
	// to fetch them than to ask for each piece; a video's frames are larger.
	maxGap = 64 << 10
	// A reader keeps some windows, since a video's index and its samples are read by turns.
	maxWindows     = 8
	maxWindowBytes = 2 << 20
)

// A fetch that breaks off is taken up again where it broke.
const (
	maxFailures  = 5  // in a row, without a byte in between
	maxBreakages = 20 // in one fetch
)

// window is a piece of an object in memory.
type window struct {
	data  []byte
	start int64 // in the object
	run   int64 // where reading began that has led here without a jump
	used  int64 // the reader's clock at its last use
}

func (w *window) end() int64 { return w.start + int64(len(w.data)) }

// download is an object on an S3 server being read.
type download struct {
	b       *s3Bucket
	key     string
	etag    string
	bytes   int64
	got     int64 // bytes fetched
	windows []*window
	clock   int64
}

// open fetches the start of the object, which costs no more than asking for its size.
func (b *s3Bucket) open(ctx context.Context, key string) (input, error) {
	d := &download{b: b, key: key, bytes: -1}
	buf := make([]byte, firstFetch)
	n, err := d.fetch(ctx, buf, 0)
	if errorCode(err) == "InvalidRange" {
		// There is no first byte in an empty object.
		return b.openEmpty(ctx, d)
	}
	if err != nil {
		return nil, notExist(err)
	}
	if n > 0 {
		d.windows = []*window{{data: buf[:n]}}
	}
	return d, nil
}

func (b *s3Bucket) openEmpty(ctx context.Context, d *download) (input, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	attrs, err := b.bucket.Attributes(ctx, d.key)
	if err != nil {
		return nil, notExist(err)
	}
	if attrs.Size != 0 {
		return nil, fmt.Errorf("the server has no first byte of %d", attrs.Size)
	}
	d.bytes = 0
	return d, nil
}

func (d *download) size() int64    { return d.bytes }
func (d *download) fetched() int64 { return d.got }
func (d *download) close() error   { d.windows = nil; return nil }

func (d *download) readAt(ctx context.Context, p []byte, at int64) (int, error) {
	w := d.find(at)
	if w == nil {
		var err error
		if w, err = d.load(ctx, at, int64(len(p))); err != nil {
			return 0, err
		}
	}
	d.clock++
	w.used = d.clock
	return copy(p, w.data[at-w.start:]), nil
}

func (d *download) find(at int64) *window {
	for _, w := range d.windows {
		if w.start <= at && at < w.end() {
			return w
		}
	}
	return nil
}

// load fetches a window that begins at a place: what is asked for, and more ahead the
// longer the reading has gone on without a jump.
func (d *download) load(ctx context.Context, at, asked int64) (*window, error) {
	w := d.before(at)
	if w == nil {
		w = &window{run: at}
	} else {
		d.windows = slices.DeleteFunc(d.windows, func(other *window) bool { return other == w })
	}
	size := max(asked, minFetch, (at-w.run)/2)
	size = min(size, maxFetch, d.bytes-at)
	d.makeRoom(size)
	if int64(cap(w.data)) < size {
		w.data = make([]byte, size)
	}
	w.start, w.data = at, w.data[:size]
	if _, err := d.fetch(ctx, w.data, at); err != nil {
		return nil, notExist(err)
	}
	d.windows = append(d.windows, w)
	return w, nil
}

// before returns the window that reading at a place goes on from, or nil.
func (d *download) before(at int64) *window {
	var best *window
	for _, w := range d.windows {
		if gap := at - w.end(); gap >= 0 && gap <= maxGap && (best == nil || w.end() > best.end()) {
			best = w
		}
	}
	return best
}

// makeRoom drops the windows that have not been used for longest.
func (d *download) makeRoom(size int64) {
	slices.SortFunc(d.windows, func(a, b *window) int { return cmp.Compare(b.used, a.used) })
	for i, w := range d.windows {
		if size += int64(cap(w.data)); size > maxWindowBytes || i == maxWindows-1 {
			clear(d.windows[i:])
			d.windows = d.windows[:i]
			return
		}
	}
}

// fetch fills p, or as much of it as the object has when its size is not known yet.
func (d *download) fetch(ctx context.Context, p []byte, at int64) (int, error) {
	n, failures := 0, 0
	for breakages := 1; ; breakages++ {
		m, err := d.get(ctx, p[n:], at+int64(n))
		n += m
		d.got += int64(m)
		if d.bytes >= 0 {
			p = p[:min(int64(len(p)), d.bytes-at)]
		}
		if err == nil && n == len(p) {
			return n, nil
		}
		if m > 0 {
			failures = 0
		}
		failures++
		if broken := (*brokenError)(nil); !errors.As(err, &broken) || failures == maxFailures || breakages == maxBreakages {
			return n, err
		}
		select {
		case <-ctx.Done():
			return n, ctx.Err()
		case <-time.After(backoff(failures)):
		}
	}
}

// brokenError is an answer that began well and broke off, or none in time. It may go better
// the next time. What the server refuses is another error; the SDK has then tried again
// where that makes sense.
type brokenError struct{ err error }

func (e *brokenError) Error() string { return "the answer broke off: " + e.err.Error() }
func (e *brokenError) Unwrap() error { return e.err }

// get asks for a range once and reads what comes of it.
func (d *download) get(ctx context.Context, p []byte, at int64) (n int, err error) {
	limited, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	opts := &blob.ReaderOptions{BeforeRead: func(as func(any) bool) error {
		var in *s3.GetObjectInput
		if as(&in) && d.etag != "" {
			in.IfMatch = &d.etag // all pieces are of one object
		}
		return nil
	}}
	body, err := d.b.bucket.NewRangeReader(limited, d.key, at, int64(len(p)), opts)
	if err != nil {
		if limited.Err() != nil && ctx.Err() == nil {
			err = &brokenError{err}
		}
		return 0, err
	}
	defer body.Close()
	var out s3.GetObjectOutput
	if !body.As(&out) {
		return 0, errors.New("not an answer of S3")
	}
	size, err := rangeSize(&out, at)
	if err != nil {
		return 0, err
	}
	if d.bytes < 0 {
		d.bytes, d.etag = size, aws.ToString(out.ETag)
	} else if size != d.bytes {
		return 0, fmt.Errorf("the object changed from %d bytes to %d while it was read", d.bytes, size)
	}
	p = p[:min(int64(len(p)), size-at)]
	n, err = io.ReadFull(body, p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && ctx.Err() == nil {
		err = &brokenError{err}
	}
	return n, err
}

// rangeSize checks that an answer is what was asked for, and returns the object's size.
func rangeSize(out *s3.GetObjectOutput, at int64) (int64, error) {
	if out.ContentRange == nil && at == 0 && out.ContentLength != nil {
		return *out.ContentLength, nil // the whole object, which a server may send too
	}
	place, whole, ok := strings.Cut(strings.TrimPrefix(aws.ToString(out.ContentRange), "bytes "), "/")
	if ok && strings.HasPrefix(place, strconv.FormatInt(at, 10)+"-") {
		if size, err := strconv.ParseInt(whole, 10, 64); err == nil && size > at {
			return size, nil
		}
	}
	return 0, fmt.Errorf("the server answers the range %q, and bytes from %d were asked for", aws.ToString(out.ContentRange), at)
}
