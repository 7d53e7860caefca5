package auth

import (
	"html/template"
	"net/http"

	"github.com/mp3lathe/mp3lathe/internal/accountapi"
	"github.com/mp3lathe/mp3lathe/internal/httpapi"
)

// pagesPath is where the pages are that links in mails lead to, for people without a
// program that would do it.
const pagesPath = "/v1/auth/pages/"

// maxForm of a page, in bytes.
const maxForm = 4 << 10

var pageTemplates = template.Must(template.ParseFS(templateFiles, "templates/page.html"))

// page is what the template shows: a form, or what came of one.
type page struct {
	Title, Service string
	// Text for people; Wrong is why the form was refused.
	Text, Wrong string
	// Form has the name of the button; empty for no form. It is sent to the page of a
	// Name. Token goes along, Email and Password ask for one.
	Form, Name, Token string
	Email, Password   bool
	// Link is where to go on, if that is somewhere.
	Link, LinkText string
}

// pages serves them. To look at a page changes nothing, for programs look at links in
// mails too: what changes something is the form in it.
func (s *Service) pages(mux *http.ServeMux) {
	forms := map[string]struct {
		page page
		do   func(*http.Request) (done string, err error)
	}{
		"verify": {page{Title: "Confirm your address", Text: "Press the button to confirm that the address is yours.", Form: "Confirm"},
			func(r *http.Request) (string, error) {
				return "Your address is confirmed.", s.verify(r.Context(), r.PostFormValue("token"))
			}},
		"reset": {page{Title: "Choose a new password", Text: "8 characters or more. All programs that use your account are logged out.", Form: "Set the password", Password: true},
			func(r *http.Request) (string, error) {
				return "Your password is set. Log in with it.", s.reset(r.Context(), r.PostFormValue("token"), r.PostFormValue("password"))
			}},
		"forgot": {page{Title: "Forgotten password", Text: "Give the address of your account, and we send a mail with a link.", Form: "Send the mail", Email: true},
			func(r *http.Request) (string, error) {
				_, err := s.sendReset(r.Context(), &accountapi.EmailInput{
					Origin: accountapi.Origin{Forwarded: r.Header.Get("X-Forwarded-For")}, Body: accountapi.EmailBody{Email: r.PostFormValue("email")},
				})
				return "If there is an account of this address, a mail is on its way to it.", err
			}},
	}
	for name, form := range forms {
		form.page.Name = name
		mux.HandleFunc("GET "+pagesPath+name, func(w http.ResponseWriter, r *http.Request) {
			p := form.page
			if !p.Email {
				p.Token = r.URL.Query().Get("token")
			}
			p.write(w, r, http.StatusOK)
		})
		mux.HandleFunc("POST "+pagesPath+name, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxForm)
			if err := r.ParseForm(); err != nil {
				httpapi.NewProblem(http.StatusBadRequest, "bad_request", "The form cannot be read.").Write(w, r)
				return
			}
			done, err := form.do(r)
			if err == nil {
				page{Title: form.page.Title, Text: done}.write(w, r, http.StatusOK)
				return
			}
			problem := httpapi.AsProblem(problemOf(err))
			p := form.page
			p.Wrong, p.Token = problem.Detail, r.PostFormValue("token")
			for _, field := range problem.Errors {
				p.Wrong = field.Message
			}
			if problem.Status >= 500 {
				problem.Write(w, r) // which tells the log why
				return
			}
			for name := range problem.GetHeaders() {
				w.Header().Set(name, problem.GetHeaders().Get(name))
			}
			p.write(w, r, problem.Status)
		})
	}
}

func (p page) write(w http.ResponseWriter, r *http.Request, status int) {
	p.Service = service
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = pageTemplates.ExecuteTemplate(w, "page.html", p) // the client is gone
}
