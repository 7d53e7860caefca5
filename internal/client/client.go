// Package client speaks to mp3lathe's HTTP API, as a user's program would: for the
// command, the end-to-end tests and the bench.
package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Client of one gateway, for one user.
type Client struct {
	// Base is the gateway's address, such as http://127.0.0.1:8080.
	Base string
	// HTTP makes the requests; nil is http.DefaultClient.
	HTTP *http.Client
	// Token is sent with each request, if it is set. [Client.Login] sets it.
	Token string
}

// Job is what the API tells of a job.
type Job struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Version  int64  `json:"version"`
	FileName string `json:"file_name"`
	// SourceBytes and SourceSHA256 (hex) of the upload.
	SourceBytes  int64  `json:"source_bytes"`
	SourceSHA256 string `json:"source_sha256"`
	// Duplicate, in the answer to an upload: it is an earlier job.
	Duplicate bool `json:"duplicate"`
	Attempt   int  `json:"attempt"`
	Failure   *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
		Advice  string `json:"advice"`
	} `json:"failure"`
	Progress *struct {
		Fraction float64 `json:"fraction"`
	} `json:"progress"`
	Result *struct {
		Bytes        int64   `json:"bytes"`
		Duration     float64 `json:"duration_seconds"`
		Samples      int64   `json:"samples"`
		SampleRate   int     `json:"sample_rate"`
		BytesRead    int64   `json:"bytes_read"`
		WallTime     float64 `json:"wall_seconds"`
		Channels     int     `json:"channels"`
		Encoding     string  `json:"encoding"`
		Track        int     `json:"track"`
		Codec        string  `json:"codec"`
		Language     string  `json:"language"`
		DecodeErrors int     `json:"decode_errors"`
		Partial      bool    `json:"partial"`
	} `json:"result"`
	Created time.Time `json:"created_at"`
	Started time.Time `json:"started_at"`
	Ended   time.Time `json:"ended_at"`
}

// Done reports whether nothing more happens to the job by itself.
func (j *Job) Done() bool { return j.State != "queued" && j.State != "running" }

// Error is a problem that the API answered with.
type Error struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	// Errors say what is wrong with each input.
	Errors []struct {
		Message string `json:"message"`
	} `json:"errors"`
}

// Error returns status, code and detail.
func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Detail) }

// Register makes an account.
func (c *Client) Register(ctx context.Context, email, password string) error {
	return c.call(ctx, http.MethodPost, "/v1/auth/register", credentials(email, password), nil)
}

// Login gets a token and keeps it.
func (c *Client) Login(ctx context.Context, email, password string) error {
	var answer struct {
		Token string `json:"access_token"`
	}
	err := c.call(ctx, http.MethodPost, "/v1/auth/login", credentials(email, password), &answer)
	c.Token = answer.Token
	return err
}

func credentials(email, password string) io.Reader {
	b, _ := json.Marshal(map[string]string{"email": email, "password": password})
	return bytes.NewReader(b)
}

// Upload sends a file as the body of the request, with settings by their names.
func (c *Client) Upload(ctx context.Context, name string, file io.Reader, settings url.Values) (Job, error) {
	q := url.Values{"filename": {name}}
	for k, v := range settings {
		q[k] = v
	}
	return c.upload(ctx, "/v1/jobs?"+q.Encode(), "application/octet-stream", file)
}

// UploadForm sends a file as a form, with settings as fields before it.
func (c *Client) UploadForm(ctx context.Context, name string, file io.Reader, settings url.Values) (Job, error) {
	r, w := io.Pipe()
	form := multipart.NewWriter(w)
	go func() {
		err := func() error {
			for k, values := range settings {
				for _, v := range values {
					if err := form.WriteField(k, v); err != nil {
						return err
					}
				}
			}
			part, err := form.CreateFormFile("file", name)
			if err == nil {
				_, err = io.Copy(part, file)
			}
			return errors.Join(err, form.Close())
		}()
		w.CloseWithError(err)
	}()
	defer r.Close()
	return c.upload(ctx, "/v1/jobs", form.FormDataContentType(), r)
}

func (c *Client) upload(ctx context.Context, path, contentType string, body io.Reader) (j Job, err error) {
	req, err := c.request(ctx, http.MethodPost, path, body)
	if err != nil {
		return j, err
	}
	req.Header.Set("Content-Type", contentType)
	once(req)
	return j, c.do(req, &j)
}

// once gives a request a key, so that it has its effect once if it is sent again:
// package http does so when a connection that was kept turns out to be dead.
func once(req *http.Request) { req.Header.Set("Idempotency-Key", `"`+uuid.NewString()+`"`) }

// Get asks for a job.
func (c *Client) Get(ctx context.Context, id string) (j Job, err error) {
	return j, c.call(ctx, http.MethodGet, "/v1/jobs/"+id, nil, &j)
}

// List returns the user's newest jobs, at most a hundred.
func (c *Client) List(ctx context.Context) ([]Job, error) {
	var found struct{ Jobs []Job }
	err := c.call(ctx, http.MethodGet, "/v1/jobs?limit=100", nil, &found)
	return found.Jobs, err
}

// Delete cancels or removes a job.
func (c *Client) Delete(ctx context.Context, id string) error {
	return c.call(ctx, http.MethodDelete, "/v1/jobs/"+id, nil, nil)
}

// Retry has a job tried again.
func (c *Client) Retry(ctx context.Context, id string) (j Job, err error) {
	req, err := c.request(ctx, http.MethodPost, "/v1/jobs/"+id+"/retry", nil)
	if err != nil {
		return j, err
	}
	once(req)
	return j, c.do(req, &j)
}

// Follow listens to a job's events until it is done, and returns how it ended. f,
// unless it is nil, is called with each.
func (c *Client) Follow(ctx context.Context, id string, f func(Job)) (Job, error) {
	var last Job
	for {
		err := c.events(ctx, id, &last, f)
		if last.Done() && last.ID != "" {
			return last, nil
		}
		if err != nil {
			return last, err
		}
	}
}

// events listens to one stream.
func (c *Client) events(ctx context.Context, id string, last *Job, f func(Job)) error {
	req, err := c.request(ctx, http.MethodGet, "/v1/jobs/"+id+"/events", nil)
	if err != nil {
		return err
	}
	if last.ID != "" {
		req.Header.Set("Last-Event-ID", fmt.Sprint(last.Version))
	}
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for kind := ""; lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "event":
			kind = value
		case "data":
			if kind != "job" {
				continue
			}
			var j Job
			if err := json.Unmarshal([]byte(value), &j); err != nil {
				return err
			}
			*last = j
			if f != nil {
				f(j)
			}
			if j.Done() {
				return nil
			}
		}
	}
	return lines.Err()
}

// Audio opens the MP3 of a job.
func (c *Client) Audio(ctx context.Context, id string) (io.ReadCloser, error) {
	req, err := c.request(ctx, http.MethodGet, "/v1/jobs/"+id+"/audio", nil)
	if err != nil {
		return nil, err
	}
	res, err := c.send(req)
	if err != nil {
		return nil, err
	}
	return res.Body, nil
}

// call makes a request with a JSON body, or none, and reads the answer into v,
// unless that is nil.
func (c *Client) call(ctx context.Context, method, path string, body io.Reader, v any) error {
	req, err := c.request(ctx, method, path, body)
	if err != nil {
		return err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.do(req, v)
}

func (c *Client) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err == nil && c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	return req, err
}

func (c *Client) do(req *http.Request, v any) error {
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if v == nil {
		_, err = io.Copy(io.Discard, res.Body)
		return err
	}
	return json.NewDecoder(res.Body).Decode(v)
}

// send makes a request; an answer that is no success is an [*Error].
func (c *Client) send(req *http.Request) (*http.Response, error) {
	h := c.HTTP
	if h == nil {
		h = http.DefaultClient
	}
	res, err := h.Do(req)
	if err != nil || res.StatusCode < 300 {
		return res, err
	}
	defer res.Body.Close()
	problem := &Error{Status: res.StatusCode}
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(problem); err != nil {
		problem.Detail = res.Status
	}
	return nil, problem
}
