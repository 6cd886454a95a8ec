package record_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/record"
)

// traces gives the ways in which four bytes of a secret would show in text. Four
// are enough to recognise it and too many to appear by accident.
func traces(b []byte) []string {
	var out []string
	for i := 0; i+4 <= len(b); i++ {
		four := b[i : i+4]
		out = append(out, string(four), fmt.Sprintf("%x", four), fmt.Sprintf("%X", four), fmt.Sprintf("% x", four),
			fmt.Sprintf("%q", four), strings.Trim(fmt.Sprint(four), "[]"), strings.ReplaceAll(strings.Trim(fmt.Sprint(four), "[]"), " ", ","),
			strings.TrimSuffix(strings.TrimPrefix(fmt.Sprintf("%#v", four), "[]byte{"), "}"))
	}
	for _, skip := range []int{0, 1, 2} { // base64 looks different at each offset
		if s := base64.RawStdEncoding.EncodeToString(b[skip:]); len(s) > 8 {
			out = append(out, s[:6])
		}
	}
	return out
}

// findSecret gives the trace of a secret in text, if there is one.
func findSecret(text string, secrets ...[]byte) (string, bool) {
	for _, s := range secrets {
		for _, trace := range traces(s) {
			if strings.Contains(text, trace) {
				return trace, true
			}
		}
	}
	return "", false
}

func TestNothingPrintsASecret(t *testing.T) {
	key, iv := expandLabel(secret(1), "key", nil, 32), expandLabel(secret(1), "iv", nil, 12)
	for _, text := range []string{fmt.Sprint(secret(1)), fmt.Sprintf("%x", key), fmt.Sprintf("%#v", iv), fmt.Sprintf("%q", key)} {
		if _, found := findSecret(text, secret(1), key, iv); !found {
			t.Fatalf("the search is blind: it finds nothing in %s", text)
		}
	}
	forEachCipher(t, func(t *testing.T, a record.AEAD) {
		sealer := record.NewSealer(keys(a, 1), testSession, testStream)
		burst := record.NewBurst(4)
		burst.Add(sealer, make([]byte, record.Overhead+32), secret(1)) // a payload is a secret, too
		things := map[string]any{
			"Keys": keys(a, 1), "Sealer": sealer, "Burst": burst,
			"Opener":       record.NewOpener(keys(a, 1), testSession, testStream),
			"StreamSealer": record.NewStreamSealer(keys(a, 1)),
			"StreamOpener": record.NewStreamOpener(keys(a, 1)),
		}
		for name, thing := range things {
			for how, text := range texts(t, thing) {
				if trace, found := findSecret(text, secret(1), key, iv); found {
					t.Errorf("%s by %s shows %q in %s", name, how, trace, text)
				}
				if !strings.Contains(text, "[secret]") {
					t.Errorf("%s by %s does not say that it is a secret: %s", name, how, text)
				}
			}
		}
	})
}

// texts prints a thing in every way that the standard library offers, bare and
// inside other values.
func texts(t *testing.T, thing any) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%b", "%c", "%U", "%e", "%t", "%20v", "%-5.3s"} {
		out[verb] = fmt.Sprintf(verb, thing)
		out["in a slice "+verb] = fmt.Sprintf(verb, []any{thing})
		out["in a map "+verb] = fmt.Sprintf(verb, map[int]any{1: thing})
		out["in a struct "+verb] = fmt.Sprintf(verb, struct{ Thing any }{thing})
	}
	out["Sprint"], out["Sprintln"] = fmt.Sprint(thing), fmt.Sprintln(thing)
	out["error"] = fmt.Errorf("failed: %v", thing).Error()
	for how, encode := range map[string]func(any) ([]byte, error){"json": json.Marshal, "xml": xml.Marshal} {
		b, err := encode(thing)
		if err != nil {
			t.Fatalf("%s: %v", how, err)
		}
		out[how] = string(b)
	}
	var b bytes.Buffer
	for how, h := range map[string]slog.Handler{"slog text": slog.NewTextHandler(&b, nil), "slog json": slog.NewJSONHandler(&b, nil)} {
		b.Reset()
		slog.New(h).Info("record", "thing", thing, "group", slog.GroupValue(slog.Any("thing", thing)))
		out[how] = b.String()
	}
	return out
}
