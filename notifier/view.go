package notifier

import (
	"cmp"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/human"
	"github.com/mp3lathe/mp3lathe/job"
)

//go:embed templates
var files embed.FS

// The templates are part of the program: one that does not parse fails every test.
var (
	textTemplate = texttemplate.Must(texttemplate.ParseFS(files, "templates/mail.txt"))
	htmlTemplate = htmltemplate.Must(htmltemplate.ParseFS(files, "templates/mail.html"))
)

// view is what the templates show.
type view struct {
	Service string
	Job     string
	// Name of the MP3, or of the upload if there is none.
	Name string
	OK   bool

	// Of a success.
	Facts []fact
	Notes []string
	URL   string
	Until string

	// Of a failure.
	Why, Advice string
}

// fact is a line of the table.
type fact struct{ Name, Value string }

func newView(j *job.Job, service, url string, until time.Time) *view {
	v := &view{Service: service, Job: j.ID, OK: j.State == job.Succeeded, URL: url}
	// Names were cleaned when they came in; a mail does not rely on it.
	named := *j
	named.FileName = job.CleanFileName(j.FileName)
	if !v.OK {
		v.Name = cmp.Or(named.FileName, "Your file")
		failure := j.Failure
		if failure == nil {
			failure = &job.Failure{Code: job.Internal}
		}
		v.Why, v.Advice = line(failure.Sentence()), failure.Advice()
		return v
	}
	// To the minute, and not a second too long.
	v.Until = until.UTC().Truncate(time.Minute).Format("Monday, 2 January 2006, 15:04 MST")
	v.Name = named.MP3Name()
	if r := j.Result; r != nil {
		v.Facts = append(v.Facts,
			fact{"Length", human.Clock(time.Duration(r.Duration * float64(time.Second)))},
			fact{"Size", human.Size(r.Bytes)},
			fact{"Format", format(r)})
		v.Notes = notes(r)
	}
	return v
}

// format of an MP3 as the command writes it: "VBR 2, 44.1 kHz stereo".
func format(r *job.Result) string {
	how, channels := line(r.Encoding), "mono"
	if how == "copy" {
		how = "MP3 copied"
	}
	if r.Channels == 2 {
		channels = "stereo"
	}
	return fmt.Sprintf("%s, %s %s", how, human.Kilohertz(r.SampleRate), channels)
}

// notes are what the user should know about the MP3.
func notes(r *job.Result) (notes []string) {
	if r.Partial {
		notes = append(notes, "The file was cut off or damaged: the MP3 holds what there was.")
	}
	switch n := r.DecodeErrors; {
	case n == 1:
		notes = append(notes, "1 damaged frame became silence.")
	case n > 1:
		notes = append(notes, fmt.Sprintf("%d damaged frames became silence.", n))
	}
	return notes
}

// subject of the mail.
func (v *view) subject() string {
	if v.OK {
		return v.Name + " is ready"
	}
	return v.Name + " could not be converted"
}

// Heading is the subject as a sentence.
func (v *view) Heading() string { return v.subject() + "." }

func (v *view) render() (text, html string, err error) {
	var t, h strings.Builder
	if err := textTemplate.Execute(&t, v); err != nil {
		return "", "", err
	}
	if err := htmlTemplate.Execute(&h, v); err != nil {
		return "", "", err
	}
	return t.String(), h.String(), nil
}

// line makes one line of valid UTF-8 of text that others may have had a hand in.
func line(s string) string {
	return strings.Join(strings.Fields(strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, ""))), " ")
}
