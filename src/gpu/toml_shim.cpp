/* The only C++ of the project: toml++ parses, this copies its tree into C nodes. No exception leaves this file. */
#define TOML_HEADER_ONLY 0
#include <toml++/toml.h>

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <algorithm>
#include <new>
#include <string_view>
#include <utility>
#include <vector>

extern "C" {
#include "base/error.h"
}
#include "gpu/toml_shim.h"

namespace
{

struct out_of_arena {
};

str copy_text(arena *a, std::string_view s)
{
    str out = str_copy(a, str{s.data(), s.size()});
    if (!out.ptr) throw out_of_arena();
    return out;
}

toml_node *convert(arena *a, const toml::node &from);

/* toml++ keeps tables sorted by name: bring children back into the order of the file. */
void convert_table(arena *a, const toml::table &table, toml_node *to)
{
    std::vector<std::pair<const toml::key *, const toml::node *>> items;
    items.reserve(table.size());
    for (auto it = table.cbegin(); it != table.cend(); ++it) items.emplace_back(&it->first, &it->second);
    std::sort(items.begin(), items.end(), [](const auto &x, const auto &y) {
        const auto &p = x.first->source().begin, &q = y.first->source().begin;
        return p.line != q.line ? p.line < q.line : p.column < q.column;
    });
    to->count = static_cast<uint32_t>(items.size());
    toml_node **tail = &to->is.first;
    for (const auto &item : items) {
        toml_node *child = convert(a, *item.second);
        child->key = copy_text(a, item.first->str());
        child->key_line = item.first->source().begin.line;
        child->key_column = item.first->source().begin.column;
        *tail = child;
        tail = &child->next;
    }
}

void convert_array(arena *a, const toml::array &array, toml_node *to)
{
    to->count = static_cast<uint32_t>(array.size());
    toml_node **tail = &to->is.first;
    for (const toml::node &item : array) {
        *tail = convert(a, item);
        tail = &(*tail)->next;
    }
}

/* Recursion is bounded by toml_guard. */
toml_node *convert(arena *a, const toml::node &from)
{
    toml_node *to = ARENA_NEW(a, toml_node);
    if (!to) throw out_of_arena();
    to->line = to->key_line = from.source().begin.line;
    to->column = to->key_column = from.source().begin.column;
    switch (from.type()) {
    case toml::node_type::table:
        to->kind = TOML_TABLE;
        convert_table(a, *from.as_table(), to);
        break;
    case toml::node_type::array:
        to->kind = TOML_ARRAY;
        convert_array(a, *from.as_array(), to);
        break;
    case toml::node_type::string:
        to->kind = TOML_TEXT;
        to->is.text = copy_text(a, from.as_string()->get());
        break;
    case toml::node_type::integer:
        to->kind = TOML_INT;
        to->is.integer = from.as_integer()->get();
        break;
    case toml::node_type::floating_point:
        to->kind = TOML_REAL;
        to->is.real = from.as_floating_point()->get();
        break;
    case toml::node_type::boolean:
        to->kind = TOML_BOOL;
        to->is.boolean = from.as_boolean()->get();
        break;
    default: to->kind = TOML_TIME; break;
    }
    return to;
}

pg_code parse_caught(arena *a, str text, toml_node **out, pg_error *e) noexcept
{
    try {
        toml::table table = toml::parse(std::string_view(text.ptr ? text.ptr : "", text.len));
        *out = convert(a, table);
        return PG_E_OK;
    } catch (const toml::parse_error &bad) {
        std::string_view why = bad.description();
        error_set(e, PG_E_FORMAT, "not valid TOML: %.*s", static_cast<int>(std::min<std::size_t>(why.size(), 300)),
                  why.data());
        error_line(e, bad.source().begin.line, bad.source().begin.column);
        return PG_E_FORMAT;
    } catch (const out_of_arena &) {
        return error_nomem(e, a);
    } catch (const std::bad_alloc &) {
        return error_set(e, PG_E_NOMEM, "out of memory");
    } catch (...) {
        return error_set(e, PG_E_FORMAT, "not valid TOML");
    }
}

} // namespace

extern "C" pg_code toml_parse(arena *a, str text, const char *source, toml_node **out, pg_error *e)
{
    *out = nullptr;
    pg_code code = toml_guard(text, e);
    if (code == PG_E_OK) code = parse_caught(a, text, out, e);
    if (code != PG_E_OK) error_source(e, source);
    return code;
}
