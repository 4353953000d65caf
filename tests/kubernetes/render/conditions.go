package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/common/types"
)

type conditionCases struct {
	Expression string                   `json:"expression"`
	Cases      []map[string]interface{} `json:"cases"`
}

// Answers for each case, which has `object` and `oldObject`, whether a webhook with this match condition is called. An
// error of the expression is one here: Kubernetes then refuses the request where the failurePolicy is Fail.
func evaluateConditions(in io.Reader, out io.Writer) error {
	var asked conditionCases
	if err := json.NewDecoder(in).Decode(&asked); err != nil {
		return err
	}
	env, err := cel.NewEnv(cel.HomogeneousAggregateLiterals(), cel.Variable("object", cel.DynType), cel.Variable("oldObject", cel.DynType))
	if err != nil {
		return err
	}
	ast, issues := env.Compile(asked.Expression)
	if issues.Err() != nil {
		return issues.Err()
	}
	if ast.OutputType().String() != cel.BoolType.String() {
		return fmt.Errorf("the expression is no bool but %s", ast.OutputType())
	}
	program, err := env.Program(ast)
	if err != nil {
		return err
	}
	matches := []bool{}
	for number, each := range asked.Cases {
		result, _, err := program.Eval(each)
		if err != nil {
			return fmt.Errorf("case %d: %w", number, err)
		}
		matches = append(matches, result == types.True)
	}
	return json.NewEncoder(out).Encode(matches)
}
