package objstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/mongodb"
)

// ErrKey reports a key, or the prefix of keys, that is not of the form that the package's
// description tells.
var ErrKey = errors.New("invalid key")

// Bucket is a place for objects. It is safe for use by several goroutines, and several
// processes may use the same place.
type Bucket struct {
	store store
}

// store is what a kind of bucket does. Keys have been checked.
type store interface {
	create(ctx context.Context, key string, head int64) (output, error)
	open(ctx context.Context, key string) (input, error)
	remove(ctx context.Context, key string) error
	exists(ctx context.Context, key string) (bool, error)
	list(ctx context.Context, prefix, after string, limit int) ([]Object, error)
	sweep(ctx context.Context, olderThan time.Duration) (int, error)
	ping(ctx context.Context) error
	close() error
}

// Options are what [OpenWith] is told besides the URL. The zero value is that of [Open].
type Options struct {
	// AccessKey and SecretKey are the credentials for S3. Without them the AWS SDK looks
	// where it always does: in the environment, in ~/.aws, at the machine's own service.
	AccessKey, SecretKey string
}

// Object is what a list tells of an object.
type Object struct {
	Key      string
	Bytes    int64
	Modified time.Time // by the server's clock
}

// staleTemp is the age at which Open takes the unfinished files in a folder for dead. It
// is long, because another process may be at work in the same folder.
const staleTemp = 24 * time.Hour

// Open returns the bucket that a URL names:
//
//   - file:///path/of/folder. It is made if it is not there. Unfinished files are kept in
//     its folder ".tmp"; those that nobody has written to for a day are removed.
//   - s3://bucket?region=us-east-1. Other parameters are endpoint (the http or https URL of
//     another server than Amazon's), use_path_style=true (which most others need), and those
//     of gocloud.dev/aws.V2ConfigFromURLParams. The bucket must be there, and be ours alone.
//     The server is not asked; [Bucket.Ping] asks it.
//   - mongodb://host/database or mongodb+srv://host/database, as package mongodb takes it: GridFS
//     in that database, in the collections fs.files and fs.chunks, or of another name than
//     fs with bucket=name. Indexes are made if they are not there.
func Open(ctx context.Context, url string) (*Bucket, error) {
	return OpenWith(ctx, url, nil)
}

// OpenWith is [Open] with options, which may be nil.
func OpenWith(ctx context.Context, rawURL string, opts *Options) (*Bucket, error) {
	if opts == nil {
		opts = &Options{}
	}
	if mongodb.IsURL(rawURL) {
		g, err := openGridFS(ctx, rawURL)
		if err != nil {
			return nil, fmt.Errorf("objstore: %w", err)
		}
		return &Bucket{g}, nil
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		// The error of package url would quote it all, a password included.
		return nil, errors.New("objstore: the bucket's URL is malformed")
	}
	var s store
	switch u.Scheme {
	case "file":
		s, err = openFolder(ctx, u)
	case "s3":
		s, err = openS3(ctx, u, opts)
	default:
		err = fmt.Errorf("the scheme %q is neither file nor s3 nor mongodb", u.Scheme)
	}
	if err != nil {
		return nil, fmt.Errorf("objstore: open bucket %s: %w", u.Redacted(), err)
	}
	return &Bucket{s}, nil
}

// CheckURL reports what is wrong with a URL and the options for [OpenWith]. It makes no
// folder and asks no server.
func CheckURL(ctx context.Context, rawURL string, opts *Options) error {
	if mongodb.IsURL(rawURL) {
		if _, _, err := gridURL(rawURL); err != nil {
			return fmt.Errorf("objstore: %w", err)
		}
		return nil
	}
	if u, err := url.Parse(rawURL); err == nil && u.Scheme == "file" {
		if _, err := folderPath(u); err != nil {
			return fmt.Errorf("objstore: open bucket %s: %w", u.Redacted(), err)
		}
		return nil
	}
	b, err := OpenWith(ctx, rawURL, opts)
	if err != nil {
		return err
	}
	return b.Close()
}

// Close gives back what the bucket holds. Readers and writers must have ended.
func (b *Bucket) Close() error { return b.store.close() }

// Ping reports whether the bucket is there and answers.
func (b *Bucket) Ping(ctx context.Context) error {
	if err := b.store.ping(ctx); err != nil {
		return fmt.Errorf("objstore: ping: %w", err)
	}
	return nil
}

// Exists reports whether there is an object of that key.
func (b *Bucket) Exists(ctx context.Context, key string) (bool, error) {
	if err := checkKey(key); err != nil {
		return false, err
	}
	ok, err := b.store.exists(ctx, key)
	if err != nil {
		return false, fmt.Errorf("objstore: look for %s: %w", key, err)
	}
	return ok, nil
}

// Delete removes an object. It is no error if there is none.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if err := checkKey(key); err != nil {
		return err
	}
	if err := b.store.remove(ctx, key); err != nil {
		return fmt.Errorf("objstore: delete %s: %w", key, err)
	}
	return nil
}

// DeletePrefix removes all objects whose key begins with prefix, such as "out/1/". Mind
// the "/", without which "out/12/3" would go too. An empty prefix is [ErrKey].
func (b *Bucket) DeletePrefix(ctx context.Context, prefix string) error {
	if prefix == "" {
		return fmt.Errorf("objstore: %w: a prefix to delete may not be empty", ErrKey)
	}
	after := ""
	for {
		page, err := b.List(ctx, prefix, after, 1000)
		if err != nil {
			return err
		}
		for _, o := range page {
			if err := b.Delete(ctx, o.Key); err != nil {
				return err
			}
			after = o.Key
		}
		if len(page) < 1000 {
			return nil
		}
	}
}

// List returns the first objects, at most limit of them, whose key begins with prefix (""
// for all) and comes after the key after ("" for the start), ordered by key. Fewer than
// limit means that there are no more.
func (b *Bucket) List(ctx context.Context, prefix, after string, limit int) ([]Object, error) {
	if limit < 1 {
		return nil, fmt.Errorf("objstore: list: the limit is %d", limit)
	}
	objects, err := b.store.list(ctx, prefix, after, limit)
	if err != nil {
		return nil, fmt.Errorf("objstore: list %s: %w", prefix, err)
	}
	return objects, nil
}

// SweepUploads removes what is left of writers that ended without Commit or Abort, since
// their process was killed, and returns their number. Take an age that no writer reaches:
// on S3 it counts from Create, in a folder and in GridFS from the last Write.
func (b *Bucket) SweepUploads(ctx context.Context, olderThan time.Duration) (int, error) {
	n, err := b.store.sweep(ctx, olderThan)
	if err != nil {
		return n, fmt.Errorf("objstore: sweep uploads: %w", err)
	}
	return n, nil
}

// maxKey is the longest key, in bytes, that S3 takes.
const maxKey = 1024

func checkKey(key string) error {
	if !validKey(key) {
		return fmt.Errorf("objstore: %w: %q", ErrKey, key)
	}
	return nil
}

func validKey(key string) bool {
	if key == "" || len(key) > maxKey || key[0] == '.' || key[0] == '-' {
		return false
	}
	for part := range strings.SplitSeq(key, "/") {
		if part == "" || part == "." || strings.Contains(part, "..") {
			return false
		}
	}
	for i := range len(key) {
		switch c := key[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '.', c == '-', c == '/':
		default:
			return false
		}
	}
	return true
}
