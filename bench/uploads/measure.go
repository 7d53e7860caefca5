package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mp3lathe/mp3lathe/auth"
	"github.com/mp3lathe/mp3lathe/internal/accountstore"
	"github.com/mp3lathe/mp3lathe/internal/app"
	"github.com/mp3lathe/mp3lathe/internal/client"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/internal/sqldb"
	"github.com/mp3lathe/mp3lathe/internal/testserver"
)

// figures of one run.
type figures struct {
	took time.Duration
	peak int64         // bytes: the largest resident set of the gateway
	cpu  time.Duration // of the gateway, user and system
}

// measure uploads to a gateway on a bucket of a kind, "folder" or "s3".
func (b bench) measure(ctx context.Context, kind string) (f figures, err error) {
	dir, err := folder()
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(dir)
	var env []string
	switch kind {
	case "folder":
		env = append(env, "MP3LATHE_BUCKET=file://"+filepath.Join(dir, "bucket"))
	case "s3":
		s3, err := testserver.S3(ctx)
		if err != nil {
			return f, err
		}
		defer s3.Stop()
		env = append(env, "MP3LATHE_BUCKET="+s3.URL, "MP3LATHE_S3_ACCESS_KEY="+s3.AccessKey, "MP3LATHE_S3_SECRET_KEY="+s3.SecretKey)
	default:
		return f, fmt.Errorf("the bucket %q is neither folder nor s3", kind)
	}
	redis, err := testserver.Redis(ctx)
	if err != nil {
		return f, err
	}
	defer redis.Stop()

	ctx, cancel := context.WithCancel(ctx)
	services, ctx := errgroup.WithContext(ctx)
	defer func() { err = errors.Join(err, services.Wait()) }()
	defer cancel()
	authURL, err := accounts(ctx, services, dir)
	if err != nil {
		return f, err
	}
	g, err := b.gateway(ctx, append(env,
		"MP3LATHE_DATABASE=sqlite:"+filepath.Join(dir, "jobs.db"), "MP3LATHE_REDIS="+redis.URL, "MP3LATHE_AUTH_URL="+authURL))
	if err != nil {
		return f, err
	}
	began := time.Now()
	err = b.upload(ctx, g.url)
	f.took = time.Since(began)
	if err == nil {
		f.peak, f.cpu, err = g.usage()
	}
	return f, errors.Join(err, g.stop())
}

// The account that uploads.
const email, password = "bench@example.org", "a password for the bench"

// accounts serves the auth service until ctx is done.
func accounts(ctx context.Context, g *errgroup.Group, dir string) (url string, err error) {
	db, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "accounts.db"))
	if err != nil {
		return "", err
	}
	defer func() {
		if err != nil {
			db.Close()
		}
	}()
	if err := accountstore.Migrate(ctx, db); err != nil {
		return "", err
	}
	secrets, err := auth.ParseSecrets(auth.NewSecret())
	if err != nil {
		return "", err
	}
	s, err := auth.New(auth.Config{Secrets: secrets, Issuer: app.Issuer, Audience: app.Audience}, auth.Deps{Accounts: accountstore.New(db)})
	if err != nil {
		return "", err
	}
	if err := s.CreateUser(ctx, email, password, "user"); err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	g.Go(func() error {
		defer db.Close()
		return httpapi.Serve(ctx, l, s.Handler(), slog.New(slog.DiscardHandler), httpapi.ServerConfig{})
	})
	return "http://" + l.Addr().String(), nil
}

// process is a running gateway.
type process struct {
	url    string
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	ended  chan error
}

// gateway starts the program with nothing in its environment but env.
func (b bench) gateway(ctx context.Context, env []string) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	address := l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	p := &process{url: "http://" + address, stderr: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.cmd = exec.Command(b.program, "--listen", address, "--public-url", p.url, "--log-level", "warn",
		"--rate-user", "0", "--quota-jobs", "0", "--quota-daily", "0", "--quota-stored", "0")
	p.cmd.Env = append(env, "MP3LATHE_LINK_KEY="+strings.Repeat("bench", 8))
	p.cmd.Stderr = p.stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is the bench's to handle
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	go func() { p.ended <- p.cmd.Wait() }()
	for {
		if res, err := http.Get(p.url + "/readyz"); err == nil {
			res.Body.Close()
			if res.StatusCode == http.StatusOK {
				return p, nil
			}
		}
		select {
		case err := <-p.ended:
			return nil, fmt.Errorf("the gateway did not start: %w\n%s", err, p.stderr)
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), p.stop())
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := <-p.ended; err != nil {
		return fmt.Errorf("the gateway: %w\n%s", err, p.stderr)
	}
	return nil
}

// usage is what the process has needed since its start. The kernel keeps the peak of
// its resident set by itself, so that none is missed between two looks.
func (p *process) usage() (peak int64, cpu time.Duration, err error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(status)) {
		if kb, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			if _, err := fmt.Sscan(kb, &peak); err != nil {
				return 0, 0, err
			}
			peak <<= 10
		}
	}
	if peak == 0 {
		return 0, 0, errors.New("the kernel does not tell the peak of the resident set (VmHWM)")
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.cmd.Process.Pid))
	if err != nil {
		return 0, 0, err
	}
	// Fields 14 and 15 in ticks of 10 ms; the name, which is the second, ends with ")".
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	for _, field := range fields[11:13] {
		ticks, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, 0, err
		}
		cpu += time.Duration(ticks) * 10 * time.Millisecond
	}
	return peak, cpu, nil
}

// upload sends all files at once. What the gateway says of each is held against what
// was sent.
func (b bench) upload(ctx context.Context, gateway string) error {
	c := client.Client{Base: gateway, HTTP: &http.Client{Transport: &http.Transport{}}}
	defer c.HTTP.CloseIdleConnections()
	if err := c.Login(ctx, email, password); err != nil {
		return err
	}
	want := sha256.New()
	if _, err := io.Copy(want, newVideo(b.bytes)); err != nil {
		return err
	}
	sum := hex.EncodeToString(want.Sum(nil))
	g, ctx := errgroup.WithContext(ctx)
	for i := range b.uploads {
		send := c.Upload
		if i%2 == 1 {
			send = c.UploadForm
		}
		g.Go(func() error {
			j, err := send(ctx, "video.mp4", newVideo(b.bytes), url.Values{"fresh": {"true"}})
			if err == nil && (j.SourceBytes != b.bytes || j.SourceSHA256 != sum) {
				err = fmt.Errorf("the gateway took %d bytes with the sum %s, not %d with %s", j.SourceBytes, j.SourceSHA256, b.bytes, sum)
			}
			return err
		})
	}
	return g.Wait()
}

// plain writes the same bytes to files, without a gateway, and returns how long it took
// until they lay on the disk.
func (b bench) plain(ctx context.Context) (time.Duration, error) {
	dir, err := folder()
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	began := time.Now()
	g, ctx := errgroup.WithContext(ctx)
	for i := range b.uploads {
		g.Go(func() error {
			f, err := os.Create(filepath.Join(dir, strconv.Itoa(i)))
			if err != nil {
				return err
			}
			_, err = io.Copy(f, video{ctx, newVideo(b.bytes)})
			return errors.Join(err, f.Sync(), f.Close())
		})
	}
	err = g.Wait()
	return time.Since(began), err
}
