package e2e

import (
	"cmp"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// wrongPassword is a URL with another password than it should have.
func wrongPassword(t *testing.T, raw string) string {
	t.Helper()
	u, err := url.Parse(raw)
	must(t, err)
	// A Redis without passwords takes any from its default user, and knows no other.
	u.User = url.UserPassword(cmp.Or(u.User.Username(), "nobody"), "geheim0815")
	return u.String()
}

// TestWrongPasswords: a wrong password of the database ends a program with a
// sentence; one of Redis or of the bucket, which may be mended while the program
// runs, is told by the log and by /readyz. No password is told.
func TestWrongPasswords(t *testing.T) {
	ctx := within(t, 3*time.Minute)
	on := stores(t, ctx)
	database, redis, s3, bucket := on.database, on.redis, on.s3, on.bucket
	front := freeAddress(t)
	base := []string{
		"MP3LATHE_DATABASE=" + database, "MP3LATHE_REDIS=" + redis.URL, "MP3LATHE_BUCKET=" + bucket,
		"MP3LATHE_S3_ACCESS_KEY=" + s3.AccessKey, "MP3LATHE_S3_SECRET_KEY=" + s3.SecretKey,
		"MP3LATHE_PUBLIC_URL=http://" + front, "MP3LATHE_LINK_KEY=0123456789abcdef0123456789abcdef",
		"MP3LATHE_LISTEN=" + front, "MP3LATHE_AUTH_URL=http://127.0.0.1:1",
	}

	p := run(t, "gateway", append(base, "MP3LATHE_DATABASE="+wrongPassword(t, database)))
	select {
	case <-p.done:
	case <-time.After(time.Minute):
		t.Fatal("it does not end")
	}
	p.forget()
	if out := p.out.String(); p.cmd.ProcessState.ExitCode() != 1 || strings.Count(out, "\n") != 1 ||
		!strings.HasPrefix(out, "mp3lathe-gateway: the database cannot be used: ") || strings.Contains(out, "geheim0815") {
		t.Errorf("database: exit code %d\n%s", p.cmd.ProcessState.ExitCode(), out)
	}

	for part, setting := range map[string]string{
		"redis":  "MP3LATHE_REDIS=" + wrongPassword(t, redis.URL),
		"bucket": "MP3LATHE_S3_SECRET_KEY=geheim0815",
	} {
		p := run(t, "gateway", append(base, setting))
		eventually(t, time.Minute, "readyz tells of "+part, func() bool {
			b, err := readAll(get("http://" + front + "/readyz"))
			return err == nil && strings.Contains(string(b), `"`+part+`":"unavailable"`)
		})
		eventually(t, time.Minute, "the log tells of "+part, func() bool {
			return strings.Contains(p.out.String(), `"`+part+`"`)
		})
		p.stop(t)
		if strings.Contains(p.out.String(), "geheim0815") {
			t.Errorf("%s: the log tells the password\n%s", part, p.out)
		}
		t.Log(p.tail())
	}
}

func get(url string) (io.ReadCloser, error) {
	res, err := http.Get(url)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}
