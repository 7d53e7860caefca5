package testserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// S3Server is a versitygw with its files in a folder of its own.
type S3Server struct {
	// Endpoint is where it answers, such as "http://127.0.0.1:7070".
	Endpoint string
	// URL is that of a first, empty bucket, as package objstore takes it.
	URL string
	// AccessKey and SecretKey are the credentials of its only user.
	AccessKey, SecretKey string

	process *process
	buckets string // each bucket is a folder in it
}

// S3 starts versitygw, which scripts/versitygw.sh has built.
func S3(ctx context.Context) (*S3Server, error) {
	binary, err := built(ctx, "versitygw.sh")
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "mp3lathe-s3-")
	if err != nil {
		return nil, err
	}
	s := &S3Server{AccessKey: "mp3lathe", SecretKey: "not-a-secret", buckets: filepath.Join(dir, "buckets")}
	if err := s.start(ctx, binary, dir); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	if s.URL, err = s.NewBucket(ctx, "first"); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *S3Server) start(ctx context.Context, binary, dir string) error {
	if err := os.Mkdir(s.buckets, 0o700); err != nil {
		return err
	}
	port, err := FreePort()
	if err != nil {
		return err
	}
	address := "127.0.0.1:" + strconv.Itoa(port)
	s.Endpoint = "http://" + address
	argv := []string{
		binary, "--access", s.AccessKey, "--secret", s.SecretKey,
		"--port", address, "--health", "/health", "--keep-alive", "--quiet", "posix",
	}
	// What S3 knows of an object besides its bytes is kept in extended attributes, which
	// not every file system has.
	if err := syscall.Setxattr(s.buckets, "user.mp3lathe", []byte("1"), 0); err != nil {
		sidecar := filepath.Join(dir, "sidecar")
		if err := os.Mkdir(sidecar, 0o700); err != nil {
			return err
		}
		argv = append(argv, "--sidecar", sidecar)
	}
	argv = append(argv, s.buckets)
	s.process, err = start(ctx, "versitygw", dir, argv, nil, s.healthy)
	return err
}

// healthy asks for an answer that nobody else gives on a port of that number.
func (s *S3Server) healthy(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.Endpoint+"/health", nil)
	if err != nil {
		return err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s", s.Endpoint, resp.Status)
	}
	return nil
}

// NewBucket makes an empty bucket and returns its URL, as package objstore takes it. The
// name is of lower-case letters, digits and "-", 3 to 63 of them.
func (s *S3Server) NewBucket(_ context.Context, name string) (string, error) {
	if err := os.Mkdir(filepath.Join(s.buckets, name), 0o700); err != nil {
		return "", fmt.Errorf("versitygw: new bucket: %w", err)
	}
	q := url.Values{"endpoint": {s.Endpoint}, "use_path_style": {"true"}, "region": {"us-east-1"}}
	return "s3://" + name + "?" + q.Encode(), nil
}

// Stop ends the server and removes its files.
func (s *S3Server) Stop() error {
	return errors.Join(s.process.stop(syscall.SIGTERM), os.RemoveAll(s.process.dir))
}
