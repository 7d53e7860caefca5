package notifier

import (
	"encoding/xml"
	"io"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"pgregory.net/rapid"

	"github.com/mp3lathe/mp3lathe/internal/link"
	"github.com/mp3lathe/mp3lathe/job"
)

// elements returns the elements of a page and all its text. The templates are
// written so that they are XML too, but for the doctype and the empty elements.
func elements(r interface{ Fatalf(string, ...any) }, page string) (names []string, text string) {
	page = regexp.MustCompile(`<(meta[^>]*)>`).ReplaceAllString(page, "<$1/>")
	d := xml.NewDecoder(strings.NewReader(page))
	d.Entity = xml.HTMLEntity
	var b strings.Builder
	for {
		token, err := d.Token()
		if err == io.EOF {
			return names, b.String()
		} else if err != nil {
			r.Fatalf("%v:\n%s", err, page)
		}
		switch x := token.(type) {
		case xml.StartElement:
			name := x.Name.Local
			for _, a := range x.Attr {
				if a.Name.Local != "content" && a.Name.Local != "href" {
					name += " " + a.Name.Local + "=" + a.Value
				}
			}
			names = append(names, name)
		case xml.CharData:
			b.Write(x)
		}
	}
}

// TestHostileNames: whatever a file or a detail is called, the page has the elements
// that the template has, shows the name as text, and the text mail has its lines.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	links, err := link.New("https://mp3.example.org", make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	until := time.Now().Add(time.Hour)
	shape := func(r interface{ Fatalf(string, ...any) }, j job.Job) (names []string, page, text string, lines int) {
		v := newView(&j, "mp3lathe", links.Audio(j.ID, until), until)
		text, html, err := v.render()
		if err != nil {
			r.Fatalf("%v", err)
		}
		if subject := v.subject(); strings.ContainsFunc(subject, unicode.IsControl) || len(subject) > 300 {
			r.Fatalf("subject %q", subject)
		}
		names, page = elements(r, html)
		return names, page, text, strings.Count(text, "\n")
	}
	hostile := rapid.SampledFrom([]string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><h1>`, `' onmouseover='x`, `{{.Job}}`, `&lt;b&gt;`, `&#60;b>`,
		"x\r\nJob: 0", "\nhttps://evil.example/", "\u202egpj.exe", "<!--", "]]>", "<style>*{display:none}</style>", "javascript:alert(1)", "\x00", "a\u2028b", "ü🎵",
	})
	name := rapid.OneOf(rapid.String(), rapid.Map(rapid.SliceOfN(hostile, 1, 4), func(s []string) string { return strings.Join(s, " ") }))
	for _, plain := range []job.Job{succeeded(), failed()} {
		names, _, _, lines := shape(t, plain)
		rapid.Check(t, func(r *rapid.T) {
			j := plain
			j.FileName = name.Draw(r, "name")
			if j.Failure != nil {
				j.Failure = &job.Failure{Code: job.InvalidData, Detail: name.Draw(r, "detail")}
			} else {
				result := *j.Result
				result.Encoding = name.Draw(r, "encoding")
				j.Result = &result
			}
			gotNames, page, text, gotLines := shape(r, j)
			if strings.Join(gotNames, "|") != strings.Join(names, "|") {
				r.Fatalf("elements %q, want %q", gotNames, names)
			}
			if gotLines != lines || strings.Count(text, "\nJob: ") != 1 {
				r.Fatalf("%d lines, want %d:\n%s", gotLines, lines, text)
			}
			if clean := job.CleanFileName(j.FileName); j.State == job.Failed && clean != "" && (!strings.Contains(page, clean) || !strings.Contains(text, clean)) {
				r.Fatalf("%q is not shown in\n%s\n%s", clean, page, text)
			}
		})
	}
}

// TestNoRemote: the page loads nothing and sets no colours of its own.
func TestNoRemote(t *testing.T) {
	t.Parallel()
	for _, j := range []job.Job{succeeded(), failed()} {
		_, page, err := newView(&j, "mp3lathe", "https://mp3.example.org/x?a=b&c=d", time.Now()).render()
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range []string{"<img", "<link", "<script", "url(", "@import", "src=", "background", " color:", "#ZgotmplZ"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s in\n%s", bad, page)
			}
		}
		for _, want := range []string{`lang="en"`, `name="color-scheme" content="light dark"`, "<title>", "<h1>"} {
			if !strings.Contains(page, want) {
				t.Errorf("no %s in\n%s", want, page)
			}
		}
	}
}

func TestNotes(t *testing.T) {
	t.Parallel()
	j := succeeded()
	j.FileName = ""
	j.Result.Partial, j.Result.DecodeErrors, j.Result.Encoding, j.Result.Channels, j.Result.Duration = true, 2, "copy", 1, 9.5
	v := newView(&j, "mp3lathe", "https://mp3.example.org/", time.Now())
	text, _, err := v.render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"audio.mp3 is ready.\n", "holds what there was.\n", "2 damaged frames became silence.\n", "MP3 copied, 44.1 kHz mono\n", "0:09.5\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	j = failed()
	j.FileName, j.Failure = "..", nil // a row that should not be
	v = newView(&j, "mp3lathe", "", time.Time{})
	if text, _, err = v.render(); err != nil || v.subject() != "Your file could not be converted" || !strings.Contains(text, "on our side") {
		t.Errorf("%s, %v:\n%s", v.subject(), err, text)
	}
}
