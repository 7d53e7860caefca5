package gateway

import (
	"errors"
	"fmt"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/httpapi"
	"github.com/mp3lathe/mp3lathe/job"
)

const (
	maxFields = 64      // of a form; there are fewer settings, and 14 tags
	maxField  = 8 << 10 // bytes of one field; no setting is longer
	minKeep   = time.Minute
)

// form is what comes with a file: its name and the user's wishes.
type form struct {
	settings job.Settings
	notify   bool
	fresh    bool // not to be answered by an earlier job
	bulk     bool // there is no hurry with it
	keep     time.Duration
	fileName string
	seen     map[string]bool
}

// set takes one wish. where is where it stands, "query" or "form".
func (f *form) set(where, name, value string) error {
	if f.seen[name] && name != "tag" {
		return badSetting(where, &job.SettingError{Name: name, Reason: "is given twice"})
	}
	if f.seen == nil {
		f.seen = map[string]bool{}
	}
	f.seen[name] = true
	switch name {
	case "filename":
		f.fileName = job.CleanFileName(value)
		return nil
	case "notify":
		return setSwitch(&f.notify, where, name, value)
	case "fresh":
		return setSwitch(&f.fresh, where, name, value)
	case "keep":
		var d job.Position
		err := d.UnmarshalText([]byte(value))
		if err == nil && time.Duration(d) < minKeep {
			err = fmt.Errorf("%q: want a minute or more", value)
		}
		if err != nil {
			return badSetting(where, &job.SettingError{Name: name, Reason: err.Error()})
		}
		f.keep = time.Duration(d)
		return nil
	case "bulk":
		return setSwitch(&f.bulk, where, name, value)
	}
	if err := f.settings.Set(name, value); err != nil {
		if !slices.Contains(job.SettingNames(), name) {
			// Those of an upload are settings too, for its sender.
			all := append(job.SettingNames(), "filename", "notify", "fresh", "bulk", "keep")
			err = &job.SettingError{Name: name, Reason: "no such setting; there are " + strings.Join(all, ", ")}
		}
		return badSetting(where, err)
	}
	return nil
}

func setSwitch(field *bool, where, name, value string) error {
	var on job.Switch
	if err := on.UnmarshalText([]byte(value)); err != nil {
		return badSetting(where, &job.SettingError{Name: name, Reason: err.Error()})
	}
	*field = bool(on)
	return nil
}

// validate reports settings that contradict one another.
func (f *form) validate(where string) error {
	if err := f.settings.Validate(); err != nil {
		return badSetting(where, err)
	}
	return nil
}

// setQuery takes the wishes in a query.
func (f *form) setQuery(raw string) error {
	q, err := url.ParseQuery(raw)
	if err != nil {
		return httpapi.NewProblem(http.StatusBadRequest, "bad_request", "The query of the address is malformed.")
	}
	for _, name := range slices.Sorted(maps.Keys(q)) { // so that of two faults the same one is told
		for _, value := range q[name] {
			if err := f.set("query", name, value); err != nil {
				return err
			}
		}
	}
	return f.validate("query")
}

// nameFile takes a file's name unless the query has named it.
func (f *form) nameFile(name string) {
	if f.fileName == "" {
		f.fileName = job.CleanFileName(name)
	}
}

func badSetting(where string, err error) *httpapi.Problem {
	p := httpapi.NewProblem(http.StatusUnprocessableEntity, "bad_setting", "A setting cannot be obeyed.")
	var se *job.SettingError
	if !errors.As(err, &se) {
		return p.WithCause(err)
	}
	p.Detail = "The setting " + se.Error() + "."
	return p.WithField(where+"."+se.Name, se.Reason)
}

// dispositionName returns the file name in a Content-Disposition, or "".
func dispositionName(header string) string {
	_, params, err := mime.ParseMediaType(header)
	if err != nil {
		return ""
	}
	return params["filename"]
}
