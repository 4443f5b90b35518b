//! The test strategies as a library.

portcullis_plugin_api::export_strategy!(portcullis_test_odd::Odd, portcullis_test_odd::Broken);
