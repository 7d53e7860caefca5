package link_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/internal/link"
)

const id = "01939b6e-5a1c-7c3e-9d2f-0123456789ab"

var (
	now   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	old   = bytes.Repeat([]byte{1}, 32)
	fresh = bytes.Repeat([]byte{2}, 40)
)

func signer(t testing.TB, keys ...[]byte) *link.Signer {
	t.Helper()
	s, err := link.New("https://mp3.example.org/", keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// parts takes a link apart as the gateway does.
func parts(t testing.TB, s string) (jobID, expires, signature string) {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	rest, ok := strings.CutPrefix(u.Path, "/v1/jobs/")
	jobID, ok2 := strings.CutSuffix(rest, "/audio")
	q := u.Query()
	if !ok || !ok2 || len(q) != 2 {
		t.Fatalf("a link of another form: %s", s)
	}
	return jobID, q.Get("expires"), q.Get("signature")
}

func want(t testing.TB, err, wanted error) {
	t.Helper()
	if !errors.Is(err, wanted) {
		t.Errorf("%v, want %v", err, wanted)
	}
}

func TestLink(t *testing.T) {
	t.Parallel()
	s := signer(t, old)
	until := now.Add(time.Hour + 999*time.Millisecond)
	l := s.Audio(id, until)
	if !strings.HasPrefix(l, "https://mp3.example.org/v1/jobs/"+id+"/audio?expires=1772370000&signature=") {
		t.Errorf("link %s", l)
	}
	jobID, expires, signature := parts(t, l)
	for when, wanted := range map[time.Duration]error{
		-time.Hour: nil, 0: nil, time.Hour - time.Second: nil, time.Hour - 1: nil,
		time.Hour: link.ErrExpired, 48 * time.Hour: link.ErrExpired,
	} {
		want(t, s.Verify(jobID, expires, signature, now.Add(when)), wanted)
	}
}

func TestTampering(t *testing.T) {
	t.Parallel()
	s := signer(t, old)
	_, expires, signature := parts(t, s.Audio(id, now.Add(time.Hour)))
	raw, _ := base64.RawURLEncoding.DecodeString(signature)
	stray := signature[:42] + string(signature[42]+1) // the last character holds 4 bits of 6
	for name, p := range map[string][3]string{
		"another job":        {id[:35] + "c", expires, signature},
		"job in upper case":  {strings.ToUpper(id), expires, signature},
		"no job":             {"", expires, signature},
		"more time":          {id, "1772370001", signature},
		"moved border":       {id, expires + "0", signature},
		"leading zero":       {id, "0" + expires, signature},
		"plus":               {id, "+" + expires, signature},
		"minus":              {id, "-" + expires, signature},
		"space":              {id, " " + expires, signature},
		"fraction":           {id, expires + ".0", signature},
		"underscore":         {id, "1_772_370_000", signature},
		"overflow":           {id, "99999999999999999999", signature},
		"no time":            {id, "", signature},
		"no signature":       {id, expires, ""},
		"cut signature":      {id, expires, signature[:42]},
		"long signature":     {id, expires, signature + "AA"},
		"half of the MAC":    {id, expires, base64.RawURLEncoding.EncodeToString(raw[:16])},
		"padding":            {id, expires, signature + "="},
		"standard alphabet":  {id, expires, base64.RawStdEncoding.EncodeToString(bytes.Repeat([]byte{0xff}, 32))},
		"stray bits":         {id, expires, stray},
		"line break":         {id, expires, signature[:20] + "\n" + signature[20:]},
		"line break at end":  {id, expires, signature + "\r\n"},
		"space in signature": {id, expires, signature + " "},
		"hex":                {id, expires, fmt.Sprintf("%x", raw)},
		"zeros":              {id, expires, strings.Repeat("A", 43)},
	} {
		if err := s.Verify(p[0], p[1], p[2], now); !errors.Is(err, link.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// Every single flipped bit of the signature, and one of the time.
	for i := range 256 {
		bad := bytes.Clone(raw)
		bad[i/8] ^= 1 << (i % 8)
		want(t, s.Verify(id, expires, base64.RawURLEncoding.EncodeToString(bad), now), link.ErrInvalid)
	}
	// A forged link that has expired is told no more than another forged one.
	want(t, s.Verify(id, "1", signature, now), link.ErrInvalid)
}

func TestRotation(t *testing.T) {
	t.Parallel()
	before, during, after := signer(t, old), signer(t, fresh, old), signer(t, fresh)
	j, e, sig := parts(t, before.Audio(id, now.Add(time.Hour)))
	want(t, during.Verify(j, e, sig, now), nil)
	want(t, after.Verify(j, e, sig, now), link.ErrInvalid)
	j, e, sig = parts(t, during.Audio(id, now.Add(time.Hour)))
	want(t, before.Verify(j, e, sig, now), link.ErrInvalid)
	want(t, during.Verify(j, e, sig, now), nil)
	want(t, after.Verify(j, e, sig, now), nil)
}

func TestNew(t *testing.T) {
	t.Parallel()
	for base, wanted := range map[string]string{
		"https://mp3.example.org":      "https://mp3.example.org/v1/jobs/x/audio?",
		"http://127.0.0.1:8080/":       "http://127.0.0.1:8080/v1/jobs/x/audio?",
		"https://example.org/tools///": "https://example.org/tools/v1/jobs/x/audio?",
		"https://[::1]:8443/a%20b":     "https://[::1]:8443/a%20b/v1/jobs/x/audio?",
	} {
		s, err := link.New(base, old)
		if err != nil {
			t.Error(err)
		} else if got := s.Audio("x", now); !strings.HasPrefix(got, wanted) {
			t.Errorf("%s: %s", base, got)
		}
	}
	for _, base := range []string{
		"", "mp3.example.org", "//mp3.example.org", "ftp://example.org", "https://", "https://u:p@example.org",
		"https://example.org?a=b", "https://example.org?", "https://example.org#x", "https://example.org#", "https://exa mple.org",
	} {
		if _, err := link.New(base, old); err == nil {
			t.Errorf("%q was taken", base)
		}
	}
	for _, keys := range [][][]byte{nil, {nil}, {old[:31]}, {old, old[:31]}} {
		if _, err := link.New("https://example.org", keys...); err == nil {
			t.Errorf("keys %v were taken", keys)
		}
	}
	// The caller may wipe its keys.
	key := bytes.Clone(old)
	s := signer(t, key)
	clear(key)
	j, e, sig := parts(t, s.Audio(id, now.Add(time.Hour)))
	want(t, signer(t, old).Verify(j, e, sig, now), nil)
}

// TestAnyJob: whatever the ID holds, its link is a URL that verifies, for it and for
// no other.
func TestAnyJob(t *testing.T) {
	t.Parallel()
	s := signer(t, old)
	rapid.Check(t, func(r *rapid.T) {
		a, b := rapid.String().Draw(r, "a"), rapid.String().Draw(r, "b")
		seconds := rapid.Int64Range(1, 1<<40).Draw(r, "seconds")
		until := time.Unix(seconds, 0)
		j, e, sig := parts(t, s.Audio(a, until))
		if j != a {
			r.Fatalf("%q became %q", a, j)
		}
		if err := s.Verify(j, e, sig, until.Add(-1)); err != nil {
			r.Fatal(err)
		}
		if err := s.Verify(b, e, sig, until.Add(-1)); a != b && err == nil {
			r.Fatalf("a link for %q is good for %q", a, b)
		}
	})
}

// FuzzVerify: nothing but what was signed is accepted.
func FuzzVerify(f *testing.F) {
	s := signer(f, old)
	_, expires, signature := parts(f, s.Audio(id, now.Add(time.Hour)))
	f.Add(id, expires, signature)
	f.Add(id, "0"+expires, signature+"=")
	f.Add("", "", "")
	f.Add(id, "-1", strings.Repeat("_", 43))
	f.Fuzz(func(t *testing.T, j, e, sig string) {
		genuine := j == id && e == expires && sig == signature
		if err := s.Verify(j, e, sig, now); (err == nil) != genuine {
			t.Errorf("%q, %q, %q: %v", j, e, sig, err)
		}
	})
}
