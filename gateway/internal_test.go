package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"

	"net/http"
)

// TestSniffFixtures: what the converter can make something of passes, whatever it
// begins with.
func TestSniffFixtures(t *testing.T) {
	t.Parallel()
	n := 0
	for _, pattern := range []string{"../testdata/*", "../testdata/media/*"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			switch name := filepath.Base(file); filepath.Ext(name) {
			case ".mp4", ".m4a", ".m4b", ".m4v", ".m4p", ".mov", ".3gp", ".3g2":
				f, err := os.Open(file)
				if err != nil {
					t.Fatal(err)
				}
				head := make([]byte, sniffLen)
				k, _ := io.ReadFull(f, head)
				_ = f.Close()
				n++
				if !sniff(head[:k]) && !strings.HasPrefix(name, "bad-") {
					t.Errorf("%s was refused: %q", name, head[:k])
				}
			}
		}
	}
	if n < 50 {
		t.Errorf("only %d files", n)
	}
}

// TestSniffBoxes: the list of boxes is that of the converter, which this package
// must not import.
func TestSniffBoxes(t *testing.T) {
	t.Parallel()
	src, err := os.ReadFile("../transcode/internal/mp4/file.go")
	if err != nil {
		t.Fatal(err)
	}
	block := regexp.MustCompile(`(?s)var topKinds = map\[string\]bool\{(.*?)\n\}`).FindSubmatch(src)
	if block == nil {
		t.Fatal("the converter's list is not where it was")
	}
	theirs := map[string]bool{}
	for _, m := range regexp.MustCompile(`"(....)": true`).FindAllSubmatch(block[1], -1) {
		theirs[string(m[1])] = true
	}
	if !reflect.DeepEqual(theirs, firstBoxes) {
		t.Errorf("the converter takes %v, the gateway %v", theirs, firstBoxes)
	}
}

func TestSniff(t *testing.T) {
	t.Parallel()
	for head, want := range map[string]bool{
		"":                                     false,
		"\x00\x00\x00\x18ftyp":                 true,
		"\x00\x00\x00\x08wide\x00\x00\x00\x00": true,
		"\x00\x00\x00\x00mdat":                 true,
		"\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x10": true,
		"\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x0f": false,
		"\x00\x00\x00\x01mdat\x00\x00\x00":                     false,
		"\x00\x00\x00\x07moov":                                 false,
		"\x00\x00\x00\x18ftyq":                                 false,
		"RIFF\x00\x00\x00\x00WAVEfmt ":                         false,
		"\x1aE\xdf\xa3\x01\x00\x00\x00":                        false,
		"ID3\x04\x00\x00\x00\x00":                              false,
		"<!DOCTYPE html>":                                      false,
	} {
		if got := sniff([]byte(head)); got != want {
			t.Errorf("%q: %v", head, got)
		}
	}
}

func FuzzSniff(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x10"))
	f.Fuzz(func(t *testing.T, head []byte) {
		got := sniff(head)
		if len(head) > sniffLen && got != sniff(head[:sniffLen]) {
			t.Error("bytes beyond the head matter")
		}
		if got && !firstBoxes[string(head[4:8])] {
			t.Errorf("%q passed", head)
		}
	})
}

// FuzzForm: whatever comes as a form, reading it ends with a form or a problem, of
// at most one file, and reads what it takes to know.
func FuzzForm(f *testing.F) {
	part := "--a\r\nContent-Disposition: form-data; name=\"%s\"%s\r\n\r\n%s\r\n"
	f.Add([]byte(fmt.Sprintf(part, "vbr", "", "2")+fmt.Sprintf(part, "file", "; filename=\"x.mp4\"", "data")+"--a--\r\n"), false)
	f.Add([]byte(fmt.Sprintf(part, "x", "; filename*=UTF-8''%c3", "data")+fmt.Sprintf(part, "tag", "", "genre=x")+"--a--"), true)
	f.Add([]byte("--a--"), false)
	f.Add([]byte("--a\r\n\r\n\r\n--a\r\nContent-Disposition: form-data; name=file\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=\r\n--a--"), false)
	f.Fuzz(func(t *testing.T, data []byte, anyName bool) {
		b := &body{r: bytes.NewReader(data), control: http.NewResponseController(httptest.NewRecorder()), idle: time.Minute, left: -1}
		files := 0
		fr := &formReader{form: &form{}, anyName: anyName, file: func(r io.Reader) error {
			files++
			if _, err := io.Copy(io.Discard, r); err != nil {
				return b.broken(err)
			}
			return nil
		}}
		err := fr.read(b, bufio.NewReaderSize(b, readAhead), "a")
		var p *httpapi.Problem
		if err != nil && (!errors.As(err, &p) || p.Status >= 500 || p.Code == "") {
			t.Errorf("%v", err)
		}
		if files > 1 || err == nil && files != 1 {
			t.Errorf("%d files, %v", files, err)
		}
		if err == nil {
			if err := fr.form.settings.Validate(); err != nil {
				t.Errorf("settings that cannot be obeyed: %v", err)
			}
			if name := fr.form.fileName; name != job.CleanFileName(name) {
				t.Errorf("file name %q", name)
			}
		}
	})
}

// TestDocs: what is described by hand is complete.
func TestDocs(t *testing.T) {
	t.Parallel()
	for _, name := range job.SettingNames() {
		if settingDocs[name] == "" {
			t.Errorf("the setting %s is not described", name)
		}
	}
	if len(settingDocs) != len(job.SettingNames()) {
		t.Error("a setting is described that there is not")
	}
	for _, of := range []reflect.Type{reflect.TypeFor[jobBody](), reflect.TypeFor[listInput]()} {
		f, _ := of.FieldByName("State")
		var states []string
		for _, s := range job.States() {
			states = append(states, string(s))
		}
		if !slices.Equal(states, strings.Split(f.Tag.Get("enum"), ",")) {
			t.Errorf("%v: states %s", of, f.Tag.Get("enum"))
		}
	}
}

// TestSettingsView: every setting can be seen.
func TestSettingsView(t *testing.T) {
	t.Parallel()
	s := reflect.TypeFor[job.Settings]()
	v := reflect.TypeFor[settingsBody]()
	for i := range s.NumField() {
		f, ok := v.FieldByName(s.Field(i).Name)
		if !ok || f.Tag.Get("json") != s.Field(i).Tag.Get("json") {
			t.Errorf("%s is not shown, or under another name", s.Field(i).Name)
		}
	}
}

// TestReadCost: reading an upload takes no memory by the byte.
func TestReadCost(t *testing.T) {
	b := &body{r: zeros{}, control: http.NewResponseController(httptest.NewRecorder()), idle: time.Minute, rate: 1, left: -1}
	buf := make([]byte, chunk)
	if n := testing.AllocsPerRun(1000, func() { _, _ = b.Read(buf) }); n > 0 {
		t.Errorf("%v allocations for a read", n)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// TestHub: nothing is kept of streams that have ended.
func TestHub(t *testing.T) {
	t.Parallel()
	h := newHub()
	a, ok := h.watch("1", "u", 2)
	b, ok2 := h.watch("1", "u", 2)
	if _, ok3 := h.watch("2", "u", 2); !ok || !ok2 || ok3 {
		t.Error("the limit is not kept")
	}
	h.notify("2")
	if len(a.news) != 0 {
		t.Error("woken for another job")
	}
	h.notify("1")
	h.notify("1")
	h.notify("")
	if len(a.news) != 1 || len(b.news) != 1 {
		t.Error("not woken once")
	}
	h.leave("1", "u", a)
	h.leave("1", "u", b)
	if len(h.watchers) != 0 || len(h.open) != 0 {
		t.Errorf("left: %v, %v", h.watchers, h.open)
	}
}

func TestClientAddress(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("::1/128")}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"203.0.113.7:1234", "", "203.0.113.7"},
		{"203.0.113.7:1234", "198.51.100.1", "203.0.113.7"}, // he may say what he likes
		{"10.0.0.1:1234", "", "10.0.0.1"},
		{"10.0.0.1:1234", "198.51.100.1", "198.51.100.1"},
		{"[::ffff:10.0.0.1]:1234", "::ffff:198.51.100.1", "198.51.100.1"},
		{"10.0.0.1:1234", "6.6.6.6, 198.51.100.1", "198.51.100.1"}, // what comes before is hearsay
		{"10.0.0.1:1234", "6.6.6.6, 198.51.100.1, 10.2.3.4", "198.51.100.1"},
		{"10.0.0.1:1234", "10.9.9.9, 10.2.3.4", "10.9.9.9"},
		{"10.0.0.1:1234", "198.51.100.1, unknown", "10.0.0.1"},
		{"10.0.0.1:1234", "198.51.100.1, unknown, 10.2.3.4", "10.2.3.4"},
		{"10.0.0.1:1234", " , ", "10.0.0.1"},
		{"[::1]:1234", "2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
		{"[fd00::1]:1234", "2001:db8:1:2::9", "2001:db8:1:2::/64"},
		{"[fe80::1%eth0]:1234", "", "fe80::/64"},
		{"pipe", "198.51.100.1", "pipe"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := clientAddress(r, trusted); got != c.want {
			t.Errorf("from %s for %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	// Several fields are one list.
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = "10.0.0.1:1"
	r.Header["X-Forwarded-For"] = []string{"6.6.6.6", "198.51.100.1"}
	if got := clientAddress(r, trusted); got != "198.51.100.1" {
		t.Error(got)
	}
}
