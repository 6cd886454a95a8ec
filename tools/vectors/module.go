//go:build vectors

package vectors

// No build has the tag above. The import keeps Wycheproof among the module's
// requirements when go.mod is tidied, which looks at all files, while no program
// and no test carries the hundred megabytes that the package embeds.
import _ "github.com/c2sp/wycheproof"
