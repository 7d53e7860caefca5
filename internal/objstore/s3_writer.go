package objstore

import (
	"cmp"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	minPart  = 5 << 20 // the smallest part that S3 takes, but for the last
	maxParts = 10_000
	// partStep is the number of parts after which their size doubles: at 6, 18, 43, 91 GiB
	// and so on. All of them make 1.5 TiB.
	partStep = 1250
)

// partBytes returns the size of a part. The first has the number 1.
func partBytes(number int) int64 { return minPart << ((number - 1) / partStep) }

// upload is an object on an S3 server being made. Parts may be sent in any order: those of
// the head go last.
type upload struct {
	*s3Bucket
	key string

	headBytes int64 // kept back; a multiple of minPart
	head      chunks
	part      chunks
	start     int64 // of part in the object
	number    int   // of part

	id   string // empty as long as no part has been sent
	sent []types.CompletedPart
}

func (b *s3Bucket) create(_ context.Context, key string, head int64) (output, error) {
	u := &upload{s3Bucket: b, key: key, headBytes: head, start: head, number: int(head/minPart) + 1}
	u.head.mapped, u.part.mapped = &b.mapped, &b.mapped
	return u, nil
}

func (u *upload) holds(at int64) bool { return at < u.head.size || at >= u.start }

func (u *upload) writeAt(ctx context.Context, p []byte, at int64) (int, error) {
	n := 0
	for n < len(p) {
		rest, place := p[n:], at+int64(n)
		switch {
		case place < u.headBytes:
			rest = rest[:min(int64(len(rest)), u.headBytes-place)]
			if err := u.head.writeAt(rest, place); err != nil {
				return n, err
			}
		case place < u.start:
			return n, ErrSeek
		case place < u.start+partBytes(u.number):
			place -= u.start
			rest = rest[:min(int64(len(rest)), partBytes(u.number)-place)]
			if err := u.part.writeAt(rest, place); err != nil {
				return n, err
			}
		default: // the part is full, and there is more to come
			if err := u.next(ctx); err != nil {
				return n, err
			}
			continue
		}
		n += len(rest)
	}
	return n, nil
}

// next sends the part and begins a new one.
func (u *upload) next(ctx context.Context) error {
	if u.number == maxParts {
		return fmt.Errorf("an object cannot have more than %d bytes", u.start+u.part.size)
	}
	if err := u.send(ctx, u.number, u.part.reader(0, u.part.size)); err != nil {
		return err
	}
	u.start += u.part.size
	u.number++
	u.part.reset()
	return nil
}

// send sends a part, and opens the upload before the first.
func (u *upload) send(ctx context.Context, number int, body *chunksReader) error {
	if u.id == "" {
		if err := u.begin(ctx); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout(body.end-body.start))
	defer cancel()
	out, err := u.client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: &u.name, Key: &u.key, UploadId: &u.id,
		PartNumber: aws.Int32(int32(number)), Body: body, ContentLength: aws.Int64(body.end - body.start),
		ChecksumAlgorithm: u.checksum,
	})
	if err != nil {
		return fmt.Errorf("part %d: %w", number, err)
	}
	part := types.CompletedPart{ETag: out.ETag, PartNumber: aws.Int32(int32(number))}
	if u.checksum != "" {
		part.ChecksumCRC32 = out.ChecksumCRC32
	}
	u.sent = append(u.sent, part)
	return nil
}

func (u *upload) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	out, err := u.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{
		Bucket: &u.name, Key: &u.key, ChecksumAlgorithm: u.checksum,
	})
	if err != nil {
		return err
	}
	if u.id = aws.ToString(out.UploadId); u.id == "" {
		return errors.New("the server gave the upload no ID")
	}
	return nil
}

func sendTimeout(bytes int64) time.Duration {
	return callTimeout + time.Duration(bytes/slowest)*time.Second
}

func (u *upload) commit(ctx context.Context) error {
	err := u.finish(ctx)
	if err != nil {
		u.abort()
	}
	u.free()
	return err
}

func (u *upload) finish(ctx context.Context) error {
	switch {
	case u.id == "" && u.headBytes == 0:
		return u.put(ctx, u.part.reader(0, u.part.size))
	case u.id == "" && u.part.size == 0:
		return u.put(ctx, u.head.reader(0, u.head.size))
	}
	size := u.start + u.part.size
	if err := u.send(ctx, u.number, u.part.reader(0, u.part.size)); err != nil {
		return err
	}
	u.part.free()
	for at := int64(0); at < u.headBytes; at += minPart {
		if err := u.send(ctx, int(at/minPart)+1, u.head.reader(at, at+minPart)); err != nil {
			return err
		}
	}
	return u.complete(ctx, size)
}

// put makes an object with one request.
func (u *upload) put(ctx context.Context, body *chunksReader) error {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout(body.end-body.start))
	defer cancel()
	_, err := u.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &u.name, Key: &u.key, Body: body, ContentLength: aws.Int64(body.end - body.start),
	})
	return err
}

func (u *upload) complete(ctx context.Context, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, completeTimeout)
	defer cancel()
	slices.SortFunc(u.sent, func(a, b types.CompletedPart) int { return cmp.Compare(*a.PartNumber, *b.PartNumber) })
	_, err := u.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &u.name, Key: &u.key, UploadId: &u.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: u.sent},
	}, func(o *s3.Options) { o.HTTPClient = u.patient })
	// If an answer was lost, the retry finds no such upload.
	if err != nil && u.arrived(ctx, size) {
		return nil
	}
	return err
}

// arrived tells whether the object is there, as it must be.
func (u *upload) arrived(ctx context.Context, size int64) bool {
	attrs, err := u.bucket.Attributes(ctx, u.key)
	return err == nil && attrs.Size == size && strings.Trim(attrs.ETag, `"`) == wholeETag(u.sent)
}

// wholeETag returns the ETag that S3 and its like give to an object made of parts. It is
// not one that any object has if the server makes them otherwise.
func wholeETag(parts []types.CompletedPart) string {
	sum := md5.New()
	for _, p := range parts {
		b, err := hex.DecodeString(strings.Trim(aws.ToString(p.ETag), `"`))
		if err != nil || len(b) != md5.Size {
			return "unknown"
		}
		sum.Write(b)
	}
	return fmt.Sprintf("%x-%d", sum.Sum(nil), len(parts))
}

func (u *upload) abort() {
	u.free()
	if u.id == "" {
		return
	}
	// Not the writer's context, which may be done: that is why this is called.
	ctx, cancel := context.WithTimeout(context.Background(), abortTimeout)
	defer cancel()
	_ = u.abortUpload(ctx, u.key, u.id)
}

func (u *upload) free() {
	u.head.free()
	u.part.free()
}
