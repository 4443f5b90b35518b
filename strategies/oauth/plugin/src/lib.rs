//! The login strategy `oauth` as a library. Nothing else may come in: what it does is in
//! the crate beside it.

portcullis_plugin_api::export_strategy!(portcullis_strategy_oauth::OAuth);
