package controlplane

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/qzmq/gateway/qzmq/handshake"
	"github.com/qzmq/gateway/qzmq/record"
	"github.com/qzmq/gateway/qzmq/zmtp"
)

// open lists the exported types of the packages that see secrets which have none, and
// so may print as they are.
func open() map[string]string {
	return map[string]string{
		"handshake": "Alert Authority Certificate EarlyMessage Error Fingerprint Grant KEM Mode PeerAlert Purpose Request Roles Signature Suite Verdict",
		"record":    "AEAD Hash Header Limits Usage Verdict",
		"zmtp":      "Caller ClosedError Flags Frame Greeting Header Judge Lifetime Message Messages Metadata NullOptions Options Places Property RefusedError Run TurnStats Turns",
		// Of keys and knocks a configuration has the paths.
		"controlplane": "AdminConfig AntiDoSConfig AttachMode Config ConfigError CookieMode GatewayConfig IO InsideConfig LinkConfig " +
			"OtherTraffic OutsideConfig Phase PinMode PortRange QZMQConfig RSSMode ResumptionConfig RotationConfig ServiceConfig ZeroCopyMode " +
			"RelayAlone RelayConfig RelayRules FrameStatus RelayPeerStatus RelayStatus " +
			"ArrivingStatus DropStatus ExitStatus FeatureStatus LeavingStatus LinkState LinkStatus QueueStatus SessionState SessionStatus SocketStatus Status TrafficStatus",
	}
}

// secretive gives one of each exported type that holds secrets, as a pointer, and what
// it is to print as.
func secretive(t *testing.T) map[any]string {
	t.Helper()
	id := identity(t)
	authority, err := handshake.GenerateAuthority(handshake.MLDSA44)
	if err != nil {
		t.Fatal(err)
	}
	knock, err := handshake.GenerateKnock()
	if err != nil {
		t.Fatal(err)
	}
	other := identity(t)
	link := LinkConfig{Peer: other.Fingerprint()}
	at := func(l LinkConfig, own *handshake.Identity) *handshake.Config {
		c := &handshake.Config{Identity: own, Purpose: handshake.PurposeLink, Knock: knock, Peer: l.Peer}
		c.Authorize = func(handshake.Fingerprint) bool { return true }
		return c
	}
	config := at(link, id)
	initiator, err := handshake.NewInitiator(*config)
	if err != nil {
		t.Fatal(err)
	}
	door, err := handshake.NewDoor(*config)
	if err != nil {
		t.Fatal(err)
	}
	responder, err := handshake.NewResponder(*config)
	if err != nil {
		t.Fatal(err)
	}
	back := LinkConfig{Peer: id.Fingerprint()}
	session, _, err := agree(t, newAuthority(id.Fingerprint(), []LinkConfig{link}, nil, nil),
		newAuthority(other.Fingerprint(), []LinkConfig{back}, nil, nil), id, other, &link)
	if err != nil {
		t.Fatal(err)
	}
	within, err := session.Rehandshake()
	if err != nil {
		t.Fatal(err)
	}
	sealer, opener := session.Records()
	keys := record.NewKeys(record.AES256GCM, record.SHA256, bytes.Repeat([]byte{1}, 32))
	all := map[any]string{id: id.Fingerprint().String(), new(zmtp.Conn): "[session]", new(zmtp.Door): "[door]",
		new(zmtp.Null): "[private]", new(zmtp.Room): "[private]", new(zmtp.Pool): "[private]"}
	for _, x := range []any{authority, knock, config, initiator, door, responder, session, within, sealer, opener, keys,
		session.DataSealer([32]byte{}, 1, 0), session.DataOpener([32]byte{}, 1, 0), record.NewBurst(1), record.NewOpenBurst(1),
		new(handshake.Cookies), new(handshake.ServerTickets), new(handshake.ClientTickets), new(handshake.SafeTopics), new(handshake.EarlyData), new(handshake.Caller)} {
		all[x] = "[secret]"
	}
	return all
}

// TestNoExportedTypeShowsItsSecrets walks every exported type of the packages through
// which secrets pass. Each prints, whatever prints it, as [secret] or as a fingerprint
// and as nothing else, or it is on the list of those that have no secret.
func TestNoExportedTypeShowsItsSecrets(t *testing.T) {
	seen := map[string]bool{}
	for x, word := range secretive(t) {
		name := strings.TrimPrefix(fmt.Sprintf("%v", reflect.TypeOf(x)), "*")
		seen[name] = true
		things := []any{x}
		// These have locks inside: they are not copied, which go vet sees to.
		if !slices.Contains([]string{"zmtp.Conn", "zmtp.Door", "zmtp.Null", "zmtp.Pool"}, name) {
			things = append(things, reflect.ValueOf(x).Elem().Interface())
		}
		for _, thing := range things {
			for how, text := range shown(thing) {
				if text != word && text != "{}" {
					t.Errorf("%T by %s is %q, not %q", thing, how, text, word)
				}
			}
			var b bytes.Buffer
			if err := gob.NewEncoder(&b).Encode(thing); err == nil {
				t.Errorf("gob encodes %T as %q", thing, b.Bytes())
			}
		}
	}
	for name, folder := range map[string]string{"handshake": "../qzmq/handshake", "record": "../qzmq/record", "zmtp": "../qzmq/zmtp", "controlplane": "."} {
		listed := strings.Fields(open()[name])
		types := exportedTypes(t, folder)
		for _, typeName := range types {
			isOpen, isSecret := slices.Contains(listed, typeName), seen[name+"."+typeName]
			if isOpen == isSecret {
				t.Errorf("%s.%s: open is %v and secretive %v; it must be one of them", name, typeName, isOpen, isSecret)
			}
		}
		for _, typeName := range listed {
			if !slices.Contains(types, typeName) {
				t.Errorf("%s.%s is listed and does not exist", name, typeName)
			}
		}
	}
}

// shown prints a thing in each way that there is.
func shown(x any) map[string]string {
	all := map[string]string{}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%o", "%c"} {
		all[verb] = fmt.Sprintf(verb, x)
	}
	if s, ok := x.(fmt.Stringer); ok {
		all["String"] = s.String()
	}
	if s, ok := x.(fmt.GoStringer); ok {
		all["GoString"] = s.GoString()
	}
	if v, ok := x.(slog.LogValuer); ok {
		all["LogValue"] = v.LogValue().String()
	}
	js, err := json.Marshal(x)
	all["JSON"] = strings.Trim(string(js), `"`)
	if err != nil {
		all["JSON"] = err.Error()
	}
	var text, inJSON bytes.Buffer
	slog.New(slog.NewTextHandler(&text, nil)).Info("", "x", x)
	_, all["slog"], _ = strings.Cut(strings.TrimSpace(text.String()), " x=")
	slog.New(slog.NewJSONHandler(&inJSON, nil)).Info("", "x", x)
	_, after, _ := strings.Cut(strings.TrimSpace(inJSON.String()), `"x":"`)
	all["slog JSON"] = strings.TrimSuffix(after, `"}`)
	return all
}

// exportedTypes names the exported types of a package.
func exportedTypes(t *testing.T, folder string) []string {
	t.Helper()
	files, err := filepath.Glob(folder + "/*.go")
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok && spec.Name.IsExported() {
				names[spec.Name.Name] = true
			}
			return true
		})
	}
	if len(names) < 5 {
		t.Fatalf("%s has only the exported types %v", folder, names)
	}
	return slices.Sorted(maps.Keys(names))
}
