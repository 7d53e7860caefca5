package auth

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// maxEmail is how much of an address there is room for, in bytes.
const maxEmail = 254

// output is the page as an answer.
func (p page) output(status int) *accountapi.PageOutput {
	p.Service = service
	var b bytes.Buffer
	_ = pageTemplates.ExecuteTemplate(&b, "page.html", p) // into memory
	return &accountapi.PageOutput{Status: status, ContentType: "text/html; charset=utf-8", Body: b.Bytes()}
}

// forBrowser answers with a problem, as a page for those who want one.
func forBrowser(ctx context.Context, accept string, err error) (*accountapi.PageOutput, error) {
	problem := httpapi.AsProblem(problemOf(err))
	if !strings.Contains(accept, "text/html") {
		return nil, problem
	}
	problem.Note(ctx)
	text := problem.Detail
	for _, field := range problem.Errors {
		text = field.Message
	}
	out := page{Title: "Not signed in", Wrong: text, Text: "Code: " + problem.Code + ". Request: " + problem.Instance}.output(problem.Status)
	out.RetryAfter = problem.GetHeaders().Get("Retry-After")
	return out, nil
}

// checkReturn refuses to send anybody elsewhere: a path begins with one slash, and no
// browser may read it as something else.
func checkReturn(field, path string) error {
	if path == "" {
		return nil
	}
	u, err := url.Parse(path)
	if err == nil && strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//") && u.Scheme == "" && u.Host == "" && u.Opaque == "" &&
		!strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return nil
	}
	return httpapi.NewProblem(http.StatusUnprocessableEntity, "invalid_input", "validation failed").
		WithField(field, "it is no path on this service, such as /v1/jobs")
}

// toReturn has the browser go on from a page. It is the page that sends it, not the
// provider's redirect: so the cookies, which are SameSite=Strict, come along.
func toReturn(out *accountapi.PageOutput, path string) *accountapi.PageOutput {
	if path != "" {
		out.Refresh = "0; url=" + path
	}
	return out
}
