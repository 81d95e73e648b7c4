//! Who may use what, and what may leave under which privacy class: the one place where both are decided.
//!
//! # How an area adds to the API
//!
//! An area (`swap`, `trust`, `memory`, …) has one file in `schema/` and, when it serves files, one file here.
//!
//! * **GraphQL**: write `AreaQuery`, `AreaMutation`, `AreaSubscription` (`#[derive(Default)]`, `#[Object]` or
//!   `#[Subscription]`) and `pub(in crate::api) const RULES: &[Rule]` in `schema/AREA.rs`; then add each to its line in
//!   `schema/mod.rs` (`Query`, `Mutation`, `Subscription`, `AREAS`).
//! * **REST**: write `pub(super) fn router() -> Router<Arc<Transport>>` and `pub(super) const ROUTES: &[Route]` in
//!   `AREA.rs`; then add both to their line in `mod.rs` (`routes`, `ROUTES`).
//! * **Every field of every type, and every route, has a rule**: a [`Rule`] names a type, the scope a caller needs for
//!   its fields (it matters for the fields of `Query`, `Mutation` and `Subscription`), what its fields give away
//!   ([`Leaves`]), and the fields themselves, parted by blanks. A type may have several rules. A field or route
//!   without a rule is refused to everybody, and the tests `every_field_has_one_rule` and `every_route_has_one_rule`
//!   fail.
//!
//! What a field gives away is checked against the class in force when the answer is made, whatever class the value
//! was sensed under: a site that becomes stricter becomes stricter about its past too. A field whose class does not
//! let it out answers null or an empty list where its type allows that, and otherwise the error `PRIVACY`.

use std::{collections::HashMap, sync::OnceLock};

use async_graphql::{
    Request, ServerError, ServerResult, Value,
    extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo},
    parser::types::{OperationType, Selection},
};

use super::{Api, auth::Identity, error::Failure, schema::AREAS};
pub(super) use crate::tokens::Scope;

/// What a field or route gives away, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Leaves {
    /// Nothing finer than the occupancy of a room: leaves under every class.
    Anyway,
    /// Where in a room something moves: not under Restricted.
    Zones,
    /// Single people, their positions and poses, and what tells of one when only one is there, as the time spent in a cell:
    /// not under Restricted, and not in a mode that lets out counts only.
    People,
    /// What tells that two sightings far apart were one person: under Raw and Derived only.
    Identity,
    /// Measurements a room or person could be read from: under Raw only.
    Raw,
}

impl Leaves {
    /// Every kind.
    #[cfg(test)]
    pub(super) const ALL: [Self; 5] = [Self::Anyway, Self::Zones, Self::People, Self::Identity, Self::Raw];

    /// True when this class (0 Raw, 1 Derived, 2 Anonymous, 3 Restricted) alone does not keep it back; [`Bar`] asks the mode too.
    pub(super) const fn under(self, class: u8) -> bool {
        class
            <= match self {
                Self::Anyway => 3,
                Self::Zones | Self::People => 2,
                Self::Identity => 1,
                Self::Raw => 0,
            }
    }
}

/// The rule for some fields of a GraphQL type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    /// The type's name in the schema.
    pub(super) of: &'static str,
    /// What the caller needs.
    pub(super) scope: Scope,
    /// What the fields give away.
    pub(super) leaves: Leaves,
    /// Names of the fields in the schema, parted by blanks.
    pub(super) fields: &'static str,
}

/// Fields of a type that a caller with `scope` gets.
pub(super) const fn rule(of: &'static str, scope: Scope, leaves: Leaves, fields: &'static str) -> Rule {
    Rule {
        of,
        scope,
        leaves,
        fields,
    }
}

/// Who may use a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// Everybody: it gives nothing away.
    Anybody,
    /// Everybody when the site publishes its log (`public_log = true`), else a caller with this scope.
    PublicLog(Scope),
    /// A caller with this scope.
    With(Scope),
    /// Any caller who is known; the handler asks for scopes itself, field by field.
    Known,
}

/// The rule for one route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Route {
    /// `GET`, `POST`, …
    pub(super) method: &'static str,
    /// The path as the router has it.
    pub(super) path: &'static str,
    /// Who may use it.
    pub(super) caller: Caller,
    /// What its answer gives away.
    pub(super) leaves: Leaves,
}

/// A route and its rule.
pub(super) const fn route(method: &'static str, path: &'static str, caller: Caller, leaves: Leaves) -> Route {
    Route {
        method,
        path,
        caller,
        leaves,
    }
}

/// The rule of a field; none when nobody wrote one.
pub(super) fn of(parent: &str, field: &str) -> Option<&'static Rule> {
    type Rules = HashMap<&'static str, HashMap<&'static str, &'static Rule>>;
    static RULES: OnceLock<Rules> = OnceLock::new();
    let rules = RULES.get_or_init(|| {
        let mut rules = Rules::new();
        for rule in AREAS.iter().copied().flatten() {
            let fields = rule.fields.split_whitespace().map(|field| (field, rule));
            rules.entry(rule.of).or_default().extend(fields);
        }
        rules
    });
    rules.get(parent)?.get(field).copied()
}

/// The class in force: the newest cycle's, which no cycle makes looser than the mode.
pub(super) fn class(api: &Api) -> u8 {
    let mode = api.hub.configured().site.privacy.mode.class();
    api.hub.latest().map_or(mode, |c| c.outcome.privacy_class.max(mode))
}

/// What stands before everything that leaves: the class in force, and the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// The class in force ([`class`]).
    pub(super) class: u8,
    /// True when the mode lets out counts, but no single person.
    pub(super) aggregate_only: bool,
}

impl Bar {
    /// The bar now.
    pub(super) fn of(api: &Api) -> Self {
        Self {
            class: class(api),
            aggregate_only: api.hub.configured().site.privacy.mode.aggregate_only(),
        }
    }

    /// True when it may leave.
    pub(super) fn lets_out(self, leaves: Leaves) -> bool {
        leaves.under(self.class) && !(self.aggregate_only && leaves >= Leaves::People)
    }
}

/// Asks for the scopes of a request's root fields before any of it runs.
///
/// # Errors
/// [`Failure::Forbidden`] for the first that the caller may not use. What cannot be parsed passes: it will not run.
pub(super) fn admit(request: &mut Request, who: &Identity) -> Result<(), Failure> {
    let name = request.operation_name.clone();
    let Ok(document) = request.parsed_query() else {
        return Ok(());
    };
    for (operation, definition) in document.operations.iter() {
        if name.is_some() && operation.map(|n| n.as_str()) != name.as_deref() {
            continue;
        }
        let root = match definition.node.ty {
            OperationType::Query => "Query",
            OperationType::Mutation => "Mutation",
            OperationType::Subscription => "Subscription",
        };
        let mut fragments = Vec::new();
        let mut sets = vec![&definition.node.selection_set.node];
        while let Some(set) = sets.pop() {
            for selection in &set.items {
                match &selection.node {
                    Selection::Field(field) => {
                        let field = field.node.name.node.as_str();
                        if let Some(rule) = of(root, field).filter(|rule| !who.may(rule.scope)) {
                            return Err(Failure::forbidden(root, field, rule.scope));
                        }
                    }
                    Selection::InlineFragment(inline) => sets.push(&inline.node.selection_set.node),
                    Selection::FragmentSpread(spread) => {
                        let name = &spread.node.fragment_name.node;
                        if let Some(fragment) = document.fragments.get(name).filter(|_| !fragments.contains(&name)) {
                            fragments.push(name);
                            sets.push(&fragment.node.selection_set.node);
                        }
                    }
                }
            }
        }
    }
    Ok(())
}

/// Holds every field of every answer against its rule.
pub(super) struct Held;

impl ExtensionFactory for Held {
    fn create(&self) -> std::sync::Arc<dyn Extension> {
        std::sync::Arc::new(Self)
    }
}

#[async_graphql::async_trait::async_trait]
impl Extension for Held {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        // A list asks once more for each of its elements; the field itself was asked for already.
        if info.is_for_introspection || info.name.starts_with("__") || info.parent_type.starts_with('[') {
            return next.run(ctx, info).await;
        }
        let refuse = |failure: Failure| -> ServerError {
            async_graphql::Error::from(failure).into_server_error(info.field.name.pos)
        };
        // The root of a subscription is asked for by the name of its area's object.
        let parent = if info.path_node.parent.is_none() && info.parent_type.ends_with("Subscription") {
            "Subscription"
        } else {
            info.parent_type
        };
        let Some(rule) = of(parent, info.name) else {
            return Err(refuse(Failure::Internal {
                detail: format!("{}.{} has no rule", info.parent_type, info.name),
            }));
        };
        // No identity: the request came past the place that names the caller, so it is nobody's.
        // Who may use the root's field may have what stands below it.
        let root = info.path_node.parent.is_none();
        if !ctx
            .data_opt::<Identity>()
            .is_some_and(|who| !root || who.may(rule.scope))
        {
            return Err(refuse(Failure::forbidden(parent, info.name, rule.scope)));
        }
        if rule.leaves == Leaves::Anyway {
            return next.run(ctx, info).await;
        }
        let api = ctx.data_unchecked::<std::sync::Arc<Api>>();
        let bar = Bar::of(api);
        if bar.lets_out(rule.leaves) {
            return next.run(ctx, info).await;
        }
        match info.return_type {
            list if list.starts_with('[') => Ok(Some(Value::List(Vec::new()))),
            must if must.ends_with('!') => Err(refuse(Failure::privacy(
                format!("{}.{}", info.parent_type, info.name),
                bar.class,
            ))),
            _ => Ok(Some(Value::Null)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use async_graphql::parser::{
        parse_schema,
        types::{TypeKind, TypeSystemDefinition},
    };

    use super::*;

    /// All fields of all object types, from the schema itself.
    fn fields() -> BTreeSet<(String, String)> {
        let schema = parse_schema(crate::api::sdl()).unwrap();
        let mut fields = BTreeSet::new();
        for definition in schema.definitions {
            let TypeSystemDefinition::Type(ty) = definition else {
                continue;
            };
            let name = ty.node.name.node.to_string();
            if let TypeKind::Object(object) = ty.node.kind {
                fields.extend(
                    object
                        .fields
                        .iter()
                        .map(|f| (name.clone(), f.node.name.node.to_string())),
                );
            }
        }
        fields
    }

    #[test]
    fn every_field_has_one_rule() {
        let mut ruled: BTreeMap<(String, String), usize> = BTreeMap::new();
        for rule in AREAS.iter().copied().flatten() {
            for field in rule.fields.split_whitespace() {
                *ruled.entry((rule.of.to_owned(), field.to_owned())).or_default() += 1;
            }
        }
        let fields = fields();
        assert!(fields.len() > 100, "the schema was read");
        let without: Vec<_> = fields.iter().filter(|f| !ruled.contains_key(f)).collect();
        let unknown: Vec<_> = ruled.keys().filter(|f| !fields.contains(f)).collect();
        let twice: Vec<_> = ruled.iter().filter(|(_, n)| **n > 1).collect();
        assert!(
            without.is_empty(),
            "fields without a rule (see api/access.rs): {without:?}"
        );
        assert!(unknown.is_empty(), "rules for fields that do not exist: {unknown:?}");
        assert!(twice.is_empty(), "fields with several rules: {twice:?}");
    }

    #[test]
    fn every_route_has_one_rule() {
        // The router does not list its routes, but its debug form holds them: `RouteId(3): "/healthz"`.
        let shown = format!("{:?}", crate::api::routes());
        let paths: BTreeSet<&str> = shown
            .match_indices("RouteId(")
            .filter_map(|(at, _)| shown[at..].split_once("): \""))
            .filter_map(|(id, rest)| (id.len() < 16).then(|| rest.split('"').next()).flatten())
            .filter(|path| path.starts_with('/') && !path.contains("axum_fallback"))
            .collect();
        let ruled: Vec<_> = crate::api::ROUTES.iter().copied().flatten().collect();
        assert!(paths.contains("/healthz"), "{shown}");
        assert_eq!(
            paths,
            ruled.iter().map(|r| r.path).collect(),
            "a rule a path, a path a rule"
        );
        let distinct: BTreeSet<_> = ruled.iter().map(|r| (r.method, r.path)).collect();
        assert_eq!(distinct.len(), ruled.len(), "a route with two rules");
    }

    #[test]
    fn a_stricter_class_lets_out_nothing_more() {
        for leaves in Leaves::ALL {
            for class in 0..3 {
                for aggregate_only in [false, true] {
                    let bar = Bar { class, aggregate_only };
                    let stricter = Bar {
                        class: class + 1,
                        ..bar
                    };
                    assert!(bar.lets_out(leaves) || !stricter.lets_out(leaves), "{leaves:?} {bar:?}");
                }
            }
        }
    }
}
