package gateway

import (
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/mp3lathe/mp3lathe/job"
)

const description = `Turns MP4 files and their relatives (MOV, M4A, M4V, 3GP) into MP3.

Upload a file to /v1/jobs, follow the job by its events or by asking again, and fetch the MP3 from its audio link.

Every error is a problem of RFC 9457 with a stable code. A job of another user answers like one that does not exist.`

// register adds all routes to the API. Their order is that of the description.
func (g *Gateway) register(api huma.API) {
	api.UseMiddleware(attach)
	o := api.OpenAPI()
	o.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"bearer": {Type: "http", Scheme: "bearer", BearerFormat: "JWT", Description: "An access token from /v1/auth/ or /login, or an API key. To look takes the scope jobs:read, to change something jobs:write"},
		"link":   {Type: "apiKey", In: "query", Name: "signature", Description: "A signed link, as in mails; it expires"},
	}

	upload := g.operation("create-job", http.MethodPost, "/v1/jobs", "Upload a file to be converted", 400, 403, 408, 409, 413, 415, 422, 429)
	upload.Description = uploadDescription
	upload.DefaultStatus = http.StatusAccepted
	upload.SkipValidateParams = true // the handler does, and names them as settings
	upload.Parameters = append(settingParams(), keyParam(), digestParam())
	upload.Middlewares = huma.Middlewares{g.lingering, g.authenticate, g.once}
	huma.Register(api, upload, g.create)
	o.Paths[upload.Path].Post.RequestBody = uploadBody("file")
	answers := o.Paths[upload.Path].Post.Responses
	answers["200"] = &huma.Response{
		Description: "An earlier job of the same file and settings has succeeded.", Content: answers["202"].Content, Headers: answers["202"].Headers,
	}

	huma.Register(api, g.operation("list-jobs", http.MethodGet, "/v1/jobs", "The user's jobs, newest first", 403, 422), g.list)

	get := g.operation("get-job", http.MethodGet, "/v1/jobs/{id}", "One job", 404)
	get.Responses["304"] = &huma.Response{Description: "The client's answer is still good."}
	huma.Register(api, get, g.get)

	remove := g.operation("delete-job", http.MethodDelete, "/v1/jobs/{id}", "Cancel or remove a job", 404, 409)
	remove.Description = "Cancels a job that is queued or running and deletes its files: 200 with the job. Removes a job that has ended, with its files: 204."
	remove.Responses["204"] = &huma.Response{Description: "The job has been removed."}
	huma.Register(api, remove, g.remove)

	retry := g.operation("retry-job", http.MethodPost, "/v1/jobs/{id}/retry", "Try a failed job again", 400, 404, 409, 410, 429)
	retry.Parameters = []*huma.Param{keyParam()}
	retry.Middlewares = append(retry.Middlewares, g.once)
	retry.DefaultStatus = http.StatusAccepted
	huma.Register(api, retry, g.retry)

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		audio := g.audioOperation(strings.ToLower(method)+"-audio", method, "/v1/jobs/{id}/audio", "The MP3")
		audio.Description += " A signed link is good instead of a token."
		audio.Security = append(audio.Security, map[string][]string{"link": {}})
		audio.Middlewares = huma.Middlewares{g.authenticateLink}
		audio.SkipValidateParams = true // mail programs add theirs to links
		huma.Register(api, audio, g.audio)
	}

	events := g.operation("job-events", http.MethodGet, "/v1/jobs/{id}/events", "A job's changes as server-sent events", 404, 429)
	events.Description = eventsDescription
	events.Responses["200"] = content200("text/event-stream", &huma.Schema{Type: huma.TypeString})
	events.Responses["204"] = &huma.Response{Description: "The job has ended and the client knows its last version."}
	huma.Register(api, events, g.events)

	audit := g.operation("job-audit", http.MethodGet, "/v1/audit", "What administrators did to the jobs of others (administrators)", 403, 422)
	audit.Description = auditDescription
	huma.Register(api, audit, g.audit)

	legacy := g.operation(legacyUploadID, http.MethodPost, "/upload", "Upload a file (old clients)", 400, 403, 408, 409, 413, 415, 422, 429)
	legacy.Description = "Takes a form with one file in a field of any name. New clients use /v1/jobs."
	legacy.Deprecated = true
	legacy.SkipValidateParams = true
	legacy.Parameters = []*huma.Param{keyParam()}
	legacy.Middlewares = huma.Middlewares{g.lingering, g.authenticate, g.once}
	legacy.Responses["200"] = content200("text/plain", &huma.Schema{Type: huma.TypeString})
	legacy.Responses["200"].Headers = map[string]*huma.Header{"Location": {Description: "Where the job is", Schema: &huma.Schema{Type: huma.TypeString}}}
	huma.Register(api, legacy, g.legacyUpload)
	o.Paths[legacy.Path].Post.RequestBody = uploadBody("any")

	for _, method := range []string{http.MethodGet, http.MethodHead} {
		download := g.audioOperation(strings.ToLower(method)+"-legacy-download", method, "/download", "The MP3 (old clients)")
		download.Deprecated = true
		huma.Register(api, download, g.legacyDownload)
	}
}

const legacyUploadID = "legacy-upload"

func keyParam() *huma.Param {
	return &huma.Param{Name: keyHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "A name of the request's own, such as a UUID: a repetition within a day has no further effect and gets the same answer"}
}

func digestParam() *huma.Param {
	return &huma.Param{Name: "Content-Digest", In: "header", Schema: &huma.Schema{Type: huma.TypeString},
		Description: "The file's SHA-256 (RFC 9530), sha-256=:...:; for a body that is the file as it is"}
}

// operation returns an operation for users, with the errors that any can answer
// and those given.
func (g *Gateway) operation(id, method, path, summary string, errors ...int) huma.Operation {
	errors = append(errors, http.StatusUnauthorized, http.StatusForbidden, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusServiceUnavailable, http.StatusInsufficientStorage)
	slices.Sort(errors)
	return huma.Operation{
		OperationID: id, Method: method, Path: path, Summary: summary,
		Errors: slices.Compact(errors), Responses: map[string]*huma.Response{},
		Security:    []map[string][]string{{"bearer": {}}},
		Middlewares: huma.Middlewares{g.authenticate},
	}
}

func (g *Gateway) audioOperation(id, method, path, summary string) huma.Operation {
	o := g.operation(id, method, path, summary, 403, 404, 409, 410, 412, 416)
	o.Description = "Supports ranges and conditional requests by ETag and date."
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	o.Responses["200"] = content200("audio/mpeg", binary)
	o.Responses["206"] = content200("audio/mpeg", binary)
	o.Responses["206"].Content["multipart/byteranges"] = &huma.MediaType{Schema: binary}
	o.Responses["304"] = &huma.Response{Description: "The client's copy is still good."}
	return o
}

func content200(mediaType string, schema *huma.Schema) *huma.Response {
	return &huma.Response{Description: "OK", Content: map[string]*huma.MediaType{mediaType: {Schema: schema}}}
}

const uploadDescription = `The body is the file as it is, with the settings in the query, or a form (multipart/form-data) with the file in the field "file" and the settings as fields before or after it. The settings are those of the command "mp3lathe convert". Only one file is taken at a time.

The next bytes must come within a minute, and at 4 KiB per second on the average. Settings in the query and a body that is no MP4 file are refused before the file has come.

If the user has uploaded the same bytes with the same settings before, and that job waits, runs, or has succeeded and is still there, it is the answer, and has duplicate: 200 if it has succeeded, else 202.`

const eventsDescription = `The stream begins with the job as it is, unless Last-Event-ID is its version, and goes on with each change, at most five a second. An event "job" holds what GET of the job answers, and its id is the job's version, which never falls. After the last change comes an event "end"; close the EventSource then. One that connects again all the same is answered 204, which stops it. A comment comes every 15 seconds.

The stream ends when the access token expires, and when the server is shut down; connect again with Last-Event-ID.`

const auditDescription = `An entry is written before the act, which is refused if that fails; one that is refused for another reason, as the retry of a job that has not failed, has its entry too. To look at the same thing again is one entry in each quarter of an hour.`

// settingDocs says what the settings do, by their names.
var settingDocs = map[string]string{
	"bitrate":       "Constant bit rate in kb/s, such as 192",
	"vbr":           "Variable bit rate by quality, 0 (best) to 9 (smallest); 2 is the default",
	"abr":           "Average bit rate in kb/s, 8 to 320",
	"rate":          "Sample rate in Hz, such as 44100 or 44.1k; default as the source",
	"channels":      "keep, mono or stereo",
	"track":         "Track to convert by its number, from 1",
	"lang":          "Track to convert by its language",
	"start":         "Start of the cut: 62.5, 1m30s or 1:02:03.5",
	"end":           "End of the cut",
	"duration":      "Length of the cut, instead of end",
	"max-duration":  "Longest MP3 to make; none for no limit. 24 hours by default",
	"allow-partial": "true takes what there is of a file that is cut off or damaged",
	"title":         "Title tag",
	"artist":        "Artist tag",
	"album":         "Album tag",
	"tag":           "Another tag as NAME=TEXT; may be given several times",
	"no-tags":       "true leaves out the source's tags",
	"no-cover":      "true leaves out the source's cover picture",
	"id3v24":        "true writes ID3v2.4 instead of ID3v2.3 tags",
}

const (
	notifyDoc = "false sends no mail at the end"
	keepDoc   = "Longest time that the files are kept after the end: 1h, 30m, 1:00:00. The service may keep them for less"
	bulkDoc   = "true lets others go first: there is no hurry"
	freshDoc  = "true makes a job that stands alone: it is not answered by an earlier one of the same file and settings, and answers no later one"
)

func settingParams() []*huma.Param {
	var ps []*huma.Param
	for _, name := range job.SettingNames() {
		p := &huma.Param{Name: name, In: "query", Description: settingDocs[name], Schema: &huma.Schema{Type: huma.TypeString}}
		if name == "tag" {
			p.Schema = &huma.Schema{Type: huma.TypeArray, Items: &huma.Schema{Type: huma.TypeString}}
		}
		ps = append(ps, p)
	}
	text := &huma.Schema{Type: huma.TypeString}
	return append(ps,
		&huma.Param{Name: "notify", In: "query", Description: notifyDoc, Schema: text},
		&huma.Param{Name: "fresh", In: "query", Description: freshDoc, Schema: text},
		&huma.Param{Name: "keep", In: "query", Description: keepDoc, Schema: text},
		&huma.Param{Name: "bulk", In: "query", Description: bulkDoc, Schema: text},
		&huma.Param{Name: "filename", In: "query", Description: "What the file is called", Schema: text})
}

// uploadBody describes the body of an upload. It is set after the operation is
// registered, or huma would read the body itself.
func uploadBody(fileField string) *huma.RequestBody {
	binary := &huma.Schema{Type: huma.TypeString, Format: "binary"}
	form := &huma.Schema{Type: huma.TypeObject, Properties: map[string]*huma.Schema{}}
	for _, p := range settingParams() {
		s := *p.Schema
		s.Description = p.Description
		form.Properties[p.Name] = &s
	}
	file := *binary
	file.Description = "The file"
	form.Properties[fileField] = &file
	form.Required = []string{fileField}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"multipart/form-data":      {Schema: form},
		"application/octet-stream": {Schema: binary},
		"video/mp4":                {Schema: binary},
	}}
}
