package objstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"
	gcaws "gocloud.dev/aws"
	"gocloud.dev/blob"
	"gocloud.dev/blob/s3blob"
	"gocloud.dev/gcerrors"
)

// Time limits for one request, retries included, and for its parts.
const (
	connectTimeout  = 5 * time.Second
	answerTimeout   = time.Minute // from the last byte sent to the first received
	callTimeout     = 2 * time.Minute
	completeTimeout = 10 * time.Minute // some servers copy all the parts then
	abortTimeout    = 30 * time.Second
	fetchTimeout    = time.Minute
	slowest         = 64 << 10 // bytes a second
)

// attempts is how often the SDK tries each request: those that were answered with 500, 503
// or the like, or not at all. With the pauses between them it takes some 3 seconds.
const attempts = 6

// s3Bucket is a bucket of an S3 server. gocloud reads, lists and describes; its writer is
// not used, as it holds several parts at once and cannot go back to the head.
type s3Bucket struct {
	name      string
	client    *s3.Client
	bucket    *blob.Bucket
	transport []*http.Transport
	patient   *http.Client // for answers that take long
	mapped    atomic.Int64 // bytes that writers hold
	// checksum is what the parts of an object are checked by on the server. Empty if the
	// URL asks for none, since not all servers know it.
	checksum types.ChecksumAlgorithm
}

func openS3(ctx context.Context, u *url.URL, opts *Options) (*s3Bucket, error) {
	q := u.Query()
	take := func(name string) string {
		value := q.Get(name)
		q.Del(name)
		return value
	}
	endpoint, pathStyle := take("endpoint"), take("use_path_style")
	switch {
	case u.Host == "" || u.Opaque != "":
		return nil, errors.New("the name of the bucket is missing; write s3://bucket")
	case u.Path != "" && u.Path != "/" || u.Fragment != "" || u.User != nil:
		return nil, errors.New("there may be only parameters after the bucket's name")
	case (opts.AccessKey == "") != (opts.SecretKey == ""):
		return nil, errors.New("an access key and a secret key belong together; one is missing")
	}
	usePathStyle := false
	if pathStyle != "" {
		var err error
		if usePathStyle, err = strconv.ParseBool(pathStyle); err != nil {
			return nil, fmt.Errorf("use_path_style is %q; it may be true or false", pathStyle)
		}
	}
	if endpoint != "" {
		e, err := url.Parse(endpoint)
		if err != nil || e.Host == "" || e.Scheme != "http" && e.Scheme != "https" {
			return nil, errors.New("the endpoint must be an http or https URL")
		}
	}
	cfg, err := gcaws.V2ConfigFromURLParams(ctx, q)
	if err != nil {
		return nil, err
	}
	if cfg.Region == "" {
		return nil, errors.New("the region is missing; add region=us-east-1, or what it is")
	}
	if opts.AccessKey != "" {
		cfg.Credentials = credentials.NewStaticCredentialsProvider(opts.AccessKey, opts.SecretKey, "")
	}
	cfg.Logger = logging.Nop{} // it would go to standard error
	cfg.Retryer = newRetryer

	quick, patient := newTransport(answerTimeout), newTransport(completeTimeout)
	client := s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.HTTPClient = newHTTPClient(quick)
		o.UsePathStyle = usePathStyle
		if endpoint != "" {
			o.BaseEndpoint = aws.String(endpoint)
		}
	})
	bucket, err := s3blob.OpenBucket(ctx, client, u.Host, nil)
	if err != nil {
		return nil, err
	}
	b := &s3Bucket{
		name: u.Host, client: client, bucket: bucket,
		transport: []*http.Transport{quick, patient}, patient: newHTTPClient(patient),
	}
	if cfg.RequestChecksumCalculation != aws.RequestChecksumCalculationWhenRequired {
		b.checksum = types.ChecksumAlgorithmCrc32
	}
	return b, nil
}

func newRetryer() aws.Retryer {
	return retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.Retryables = append(o.Retryables, retry.RetryableErrorCode{Codes: map[string]struct{}{
			"OperationAborted": {}, // S3: another change of the same thing is going on
			// versitygw, when the last object of a folder is deleted while one is put there.
			"ExistingObjectIsDirectory": {},
		}})
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, _ error) (time.Duration, error) {
			return backoff(attempt), nil
		})
	})
}

// backoff returns the pause after a number of failures: 50 to 100 ms, then twice as long
// each time, up to 5 s.
func backoff(failures int) time.Duration {
	d := min(100*time.Millisecond<<min(max(failures-1, 0), 10), 5*time.Second)
	return d/2 + rand.N(d/2)
}

func newTransport(answer time.Duration) *http.Transport {
	dialer := net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           dialer.DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		ResponseHeaderTimeout: answer,
		ExpectContinueTimeout: time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxIdleConns:          64,
		MaxIdleConnsPerHost:   64,
		DisableCompression:    true,
	}
}

func newHTTPClient(t *http.Transport) *http.Client {
	return &http.Client{
		Transport: t,
		// A request is signed for one host.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (b *s3Bucket) close() error {
	err := b.bucket.Close()
	for _, t := range b.transport {
		t.CloseIdleConnections()
	}
	return err
}

func (b *s3Bucket) ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &b.name})
	return err
}

// missingObject tells that a key is not there. A bucket that is not there is something else.
func missingObject(err error) bool {
	return gcerrors.Code(err) == gcerrors.NotFound && errorCode(err) != "NoSuchBucket"
}

// errorCode returns what S3 calls an error; empty if it is not one of S3's.
func errorCode(err error) string {
	if api := smithy.APIError(nil); errors.As(err, &api) {
		return api.ErrorCode()
	}
	return ""
}

// serverFull tells that a server has no room, or not for this user. Amazon's always has;
// others say so by the status 507 or by a code.
func serverFull(err error) bool {
	var answer interface{ HTTPStatusCode() int }
	return errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusInsufficientStorage || errorCode(err) == "QuotaExceeded"
}

func (b *s3Bucket) exists(ctx context.Context, key string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.bucket.Attributes(ctx, key)
	if missingObject(err) {
		return false, nil
	}
	return err == nil, err
}

// remove does without gocloud's Delete, which first asks whether there is anything.
func (b *s3Bucket) remove(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &b.name, Key: &key})
	if errorCode(err) == "NoSuchKey" {
		return nil // S3 doesn't say so, but others do
	}
	return err
}

func (b *s3Bucket) list(ctx context.Context, prefix, after string, limit int) ([]Object, error) {
	var out []Object
	opts := &blob.ListOptions{Prefix: prefix}
	opts.BeforeList = func(as func(any) bool) error {
		var in *s3.ListObjectsV2Input
		if as(&in) && after != "" && in.ContinuationToken == nil {
			in.StartAfter = &after
		}
		return nil
	}
	for token := blob.FirstPageToken; len(token) > 0 && len(out) < limit; {
		page, next, err := b.listPage(ctx, token, min(limit-len(out), 1000), opts)
		if err != nil {
			return nil, err
		}
		for _, o := range page {
			// Keys that others have put there can't be used here.
			if !o.IsDir && validKey(o.Key) {
				out = append(out, Object{o.Key, o.Size, o.ModTime})
			}
		}
		token = next
	}
	return out, nil
}

func (b *s3Bucket) listPage(ctx context.Context, token []byte, size int, opts *blob.ListOptions) ([]*blob.ListObject, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return b.bucket.ListPage(ctx, token, size, opts)
}

func (b *s3Bucket) sweep(ctx context.Context, olderThan time.Duration) (int, error) {
	n := 0
	pages := s3.NewListMultipartUploadsPaginator(b.client, &s3.ListMultipartUploadsInput{Bucket: &b.name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return n, err
		}
		// By the server's clock, of which the answer tells the second.
		now, ok := middleware.GetServerTime(page.ResultMetadata)
		if !ok {
			now = time.Now()
		}
		limit := now.Add(time.Second - olderThan)
		for _, u := range page.Uploads {
			if u.Initiated == nil || u.Initiated.After(limit) {
				continue
			}
			if err := b.abortUpload(ctx, aws.ToString(u.Key), aws.ToString(u.UploadId)); err != nil {
				return n, err
			}
			n++
		}
	}
	return n, nil
}

// abortUpload removes the parts of an upload. It is no error if there is no such upload.
func (b *s3Bucket) abortUpload(ctx context.Context, key, id string) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	_, err := b.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &b.name, Key: &key, UploadId: &id})
	if errorCode(err) == "NoSuchUpload" {
		return nil
	}
	return err
}

// notExist makes an error of S3 one of package fs, if it is about a missing key.
func notExist(err error) error {
	if missingObject(err) {
		return fs.ErrNotExist
	}
	return err
}
