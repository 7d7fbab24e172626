package health

import "github.com/yuin/gopher-lua/ast"

// concatenation is the function to which the operator .. is rewritten, so that it can
// be metered: a text that is doubled forty times does not fit into any machine. No
// script can spell the name.
const concatenation = "(concatenation)"

// meterConcatenation rewrites the operator everywhere in a script.
func meterConcatenation(statements []ast.Stmt) {
	for _, s := range statements {
		inStatement(s)
	}
}

func inStatement(s ast.Stmt) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		inAll(s.Lhs)
		inAll(s.Rhs)
	case *ast.LocalAssignStmt:
		inAll(s.Exprs)
	case *ast.FuncCallStmt:
		in(&s.Expr)
	case *ast.DoBlockStmt:
		meterConcatenation(s.Stmts)
	case *ast.WhileStmt:
		in(&s.Condition)
		meterConcatenation(s.Stmts)
	case *ast.RepeatStmt:
		in(&s.Condition)
		meterConcatenation(s.Stmts)
	case *ast.IfStmt:
		in(&s.Condition)
		meterConcatenation(s.Then)
		meterConcatenation(s.Else)
	case *ast.NumberForStmt:
		in(&s.Init)
		in(&s.Limit)
		in(&s.Step)
		meterConcatenation(s.Stmts)
	case *ast.GenericForStmt:
		inAll(s.Exprs)
		meterConcatenation(s.Stmts)
	case *ast.FuncDefStmt:
		meterConcatenation(s.Func.Stmts)
	case *ast.ReturnStmt:
		inAll(s.Exprs)
	}
}

func inAll(expressions []ast.Expr) {
	for i := range expressions {
		in(&expressions[i])
	}
}

func in(e *ast.Expr) {
	switch x := (*e).(type) {
	case *ast.StringConcatOpExpr:
		in(&x.Lhs)
		in(&x.Rhs)
		name := &ast.IdentExpr{Value: concatenation}
		name.SetLine(x.Line())
		// AdjustRet makes it one value wherever it stands.
		call := &ast.FuncCallExpr{Func: name, Args: []ast.Expr{x.Lhs, x.Rhs}, AdjustRet: true}
		call.SetLine(x.Line())
		call.SetLastLine(x.LastLine())
		*e = call
	case *ast.AttrGetExpr:
		in(&x.Object)
		in(&x.Key)
	case *ast.TableExpr:
		for _, f := range x.Fields {
			in(&f.Key)
			in(&f.Value)
		}
	case *ast.FuncCallExpr:
		in(&x.Func)
		in(&x.Receiver)
		inAll(x.Args)
	case *ast.FunctionExpr:
		meterConcatenation(x.Stmts)
	default:
		inOperands(x)
	}
}

func inOperands(e ast.Expr) {
	switch x := e.(type) {
	case *ast.LogicalOpExpr:
		in(&x.Lhs)
		in(&x.Rhs)
	case *ast.RelationalOpExpr:
		in(&x.Lhs)
		in(&x.Rhs)
	case *ast.ArithmeticOpExpr:
		in(&x.Lhs)
		in(&x.Rhs)
	case *ast.UnaryMinusOpExpr:
		in(&x.Expr)
	case *ast.UnaryNotOpExpr:
		in(&x.Expr)
	case *ast.UnaryLenOpExpr:
		in(&x.Expr)
	}
}
